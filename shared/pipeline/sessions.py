"""Sessions: records that follow each other closely in time, found in the records themselves. Pure.

A session is known by the mark of its first record. It goes on over pages and runs; a record that comes when a pause as
long as the gap has passed begins the next one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from shared.pipeline.marks import moment_of


@dataclass(frozen=True, slots=True)
class Session:
    """The marks of the first and of the last record of a session; empty: there has been none."""

    first: str = ""
    last: str = ""

    def encode(self) -> str:
        return f"{self.first} {self.last}" if self.first else ""

    @staticmethod
    def decode(text: str) -> "Session":
        first, _, last = text.partition(" ")
        return Session(first, last)

    def after(self, mark: str, gap: timedelta) -> "Session":
        """The session that is in hand behind a record with this mark."""
        if not self.first or moment_of(mark) - moment_of(self.last) >= gap:
            return Session(mark, mark)
        return Session(self.first, max(self.last, mark))

    def holds(self, mark: str) -> bool:
        return bool(self.first) and self.first <= mark <= self.last


def labelled(session: Session, marks: Iterable[str], gap: timedelta) -> tuple[list[str], Session]:
    """For each record the first mark of its session, and the session behind them all.

    A record without a mark has none; neither has one that lies before the session in hand: its own is over.
    """
    labels = []
    for mark in marks:
        if mark:
            session = session.after(mark, gap)
        labels.append(session.first if mark and session.holds(mark) else "")
    return labels, session

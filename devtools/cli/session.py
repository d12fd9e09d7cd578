"""What `mine` remembers in `DATA/mine.json`, so that one that was killed goes on instead of starting over.

A run's id is made from the moment it was asked for (the tick). The same tick again starts nothing twice: runs that
ended stay ended, those that were open go on.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devtools.stand_ins.private_file import write_private
from shared.errors import BadInput
from shared.messages import StreamKey


@dataclass(frozen=True, slots=True)
class Session:
    """`work` is a digest of the streams and users; other work gets a tick of its own."""

    tick: datetime
    work: str
    ended: bool = False
    resumed: bool = False

    def as_ended(self) -> "Session":
        return replace(self, ended=True)


def begin(file: Path, keys: Iterable[StreamKey], now: datetime) -> Session:
    """The session to go on with, or a new one; written to the file before anything is asked for."""
    work = _digest(keys)
    last = read(file)
    if last is not None and not last.ended and last.work == work:
        return replace(last, resumed=True)
    tick = now.astimezone(UTC).replace(microsecond=0)
    if last is not None and tick <= last.tick:
        tick = last.tick + timedelta(seconds=1)  # run ids count in seconds
    session = Session(tick, work)
    write(file, session)
    return session


def read(file: Path) -> Session | None:
    try:
        found = json.loads(file.read_text())
        return Session(datetime.fromisoformat(found["tick"]), str(found["work"]), bool(found["ended"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{file}: found no session, allowed: what headframe mine wrote there") from None


def write(file: Path, session: Session) -> None:
    found = {"tick": session.tick.isoformat(), "work": session.work, "ended": session.ended}
    write_private(file, json.dumps(found) + "\n")


def _digest(keys: Iterable[StreamKey]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for key in sorted(keys, key=str):
        digest.update(key.digest().encode())
    return digest.hexdigest()

"""The records of one user in one stream: in which order, on which pages, in which version.

The order is by (sequence, number) and a page starts after a position in that order (keyset pagination),
so a record that moves to the end is shown again and hides no other one.
"""

import random
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from devtools.demo_api.records import RecordFormat

_EDGES = (0, 1, 99, 100, 101, 199, 200, 201)  # sizes around the edge of a page of 100
_PAGE = 100


class Position(NamedTuple):
    """The place after one record. `detour` tells cursors apart that lead to the same place."""

    sequence: int
    number: int
    detour: int = 0


START = Position(0, 0)


class Entry(NamedTuple):
    """One version of one record at its place in the order."""

    sequence: int
    number: int
    version: int


@dataclass(frozen=True)
class Page:
    """What one request shows: the entries and where the next page starts, None at the end."""

    entries: list[Entry]
    next: Position | None


class Stream:
    """One user's stream. Starts with versions 1 in the order of their numbers."""

    def __init__(self, user: str, name: str, size: int, seed: int) -> None:
        self.user = user
        self.name = name
        self.format = RecordFormat(user, name, seed)
        self.tries: Counter[Position] = Counter()
        self.shown: set[Entry] = set()
        self._order = [Entry(number, number, 1) for number in range(1, size + 1)]
        self._judged: set[Position] = set()
        self._ended = False

    def __len__(self) -> int:
        return len(self._order)

    def page(self, after: Position, limit: int) -> Page:
        """Up to `limit` entries behind a position. Changes nothing."""
        start = self._index(after)
        entries = self._order[start : start + limit]
        more = start + limit < len(self._order)
        return Page(entries, Position(*entries[-1][:2]) if more else None)

    def show(self, page: Page) -> None:
        """Note that these entries went out. After its last page a stream rests: nothing moves any more."""
        self.shown.update(page.entries)
        self._ended = self._ended or page.next is None

    def may_move(self, position: Position) -> bool:
        """True once for every position, and only while somebody is still on the way to the end."""
        first_time = position not in self._judged
        self._judged.add(position)
        return first_time and not self._ended

    def move(self, before: Position, draw: int) -> bool:
        """Update one record that lies before a position: next version, last in the order.

        Only records at version 1 move, so that even a reader with pages of one record gets to the end.
        False when the drawn record has moved already or nothing lies before.
        """
        passed = self._index(before)
        if not passed or self._order[draw % passed].version > 1:
            return False
        entry = self._order.pop(draw % passed)
        self._order.append(Entry(self._order[-1].sequence + 1, entry.number, entry.version + 1))
        return True

    def latest_versions(self) -> dict[str, int]:
        """The id of each record and its newest version."""
        return {self.format.record_id(entry.number): entry.version for entry in self._order}

    def shown_versions(self) -> dict[str, int]:
        """The id of each record that went out and the newest version that did; the older ones did too."""
        return {self.format.record_id(entry.number): entry.version for entry in sorted(self.shown)}

    def render(self, entries: list[Entry]) -> bytes:
        """The entries as the inside of a JSON array."""
        render = self.format.render
        return b",".join([render(number, sequence, version) for sequence, number, version in entries])

    def _index(self, position: Position) -> int:
        return bisect_right(self._order, position[:2], key=lambda entry: entry[:2])


def sizes(count: int, seed: int, scale: float = 1.0) -> list[int]:
    """How many records each of `count` streams has, in a seeded order.

    Of 100 streams 3 have 20 pages, 5 none, 12 a size at the edge of a page, and the others are spread
    evenly over 1 to 5 pages: on average 275 records. `scale` multiplies the full pages and leaves the rest.
    """
    drawn = [_size(rank, (rank + 0.5) / count) for rank in range(count)]
    random.Random(f"{seed}:sizes").shuffle(drawn)
    return [round(size // _PAGE * scale) * _PAGE + size % _PAGE for size in drawn]


def _size(rank: int, quantile: float) -> int:
    if quantile < 0.03:
        return 20 * _PAGE - rank % 2 * 37
    if quantile < 0.15:
        return _EDGES[rank % len(_EDGES)]
    if quantile < 0.20:
        return 0
    return 1 + int((quantile - 0.20) / 0.80 * 5 * _PAGE)

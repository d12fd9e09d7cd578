"""Keys of records and the content last kept under each, held so that a million of them fit into memory.

Some thousand are a dictionary, at 120 bytes each and more. More are shared out by how their keys begin; a share is
nothing but its entries, one behind the other, in which a key is looked for as a piece of text. Rows of a folded index
are in the order of their keys: they stay as they are, and nothing has to be done with their entries one by one.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from processors.records import ENTRY_BYTES, KEY_BYTES, SeenKeys, entries_of, learn

FEW = 10_000
SHARES = 1 << 14

PACKED_WEIGHT = 6
"""So many entries of a share or a block take the room of one in a dictionary."""

IN_ORDER = bytes(KEY_BYTES) + b"in order"
"""What a row begins with whose entries are in the order of their keys, each key once. It is an entry of a key that no
record has, for whoever takes it for one."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Entries in the order of their keys."""

    entries: bytes
    first: bytes = field(init=False)
    last: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", self.entries[:KEY_BYTES])
        object.__setattr__(self, "last", self.entries[-ENTRY_BYTES:][:KEY_BYTES])

    def __len__(self) -> int:
        return len(self.entries) // ENTRY_BYTES

    def overlaps(self, other: "_Block") -> bool:
        return self.first <= other.last and other.first <= self.last

    def key_at(self, place: int) -> bytes:
        return self.entries[place * ENTRY_BYTES : place * ENTRY_BYTES + KEY_BYTES]

    def get(self, key: bytes) -> bytes | None:
        if not self.first <= key <= self.last:
            return None
        place = bisect_left(range(len(self)), key, key=self.key_at)
        if self.key_at(place) != key:
            return None
        return self.entries[place * ENTRY_BYTES + KEY_BYTES : (place + 1) * ENTRY_BYTES]


class KnownKeys:
    """As much of a dictionary as the dedupe index needs."""

    __slots__ = ("_blocks", "_few", "_packed", "_shares")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._few: SeenKeys = {}
        self._shares: list[bytearray] = []
        self._packed = 0

    @property
    def weight(self) -> int:
        """The room it takes, in entries of a dictionary."""
        packed = self._packed + sum(map(len, self._blocks))
        return len(self._few) + len(self._shares) // 2 + packed // PACKED_WEIGHT

    def get(self, key: bytes, /) -> bytes | None:
        """The content last learned under this key."""
        found = self._learned(key)
        if found is not None:
            return found
        return next((found for block in reversed(self._blocks) if (found := block.get(key)) is not None), None)

    def learn(self, rows: bytes) -> None:
        """Put in what a row of the index holds."""
        is_in_order = rows.startswith(IN_ORDER)
        rows = rows[ENTRY_BYTES:] if is_in_order else rows
        if is_in_order and not (self._few or self._shares):
            if rows:
                self._blocks.append(_Block(rows))
        elif self._shares:
            self._pack(rows)
        else:
            learn(self._few, rows)
            if len(self._few) > FEW:
                self._shares = [bytearray() for _ in range(SHARES)]
                self._pack(b"".join(key + content for key, content in self._few.items()))
                self._few = {}

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key once, in no order that means anything."""
        for number, block in enumerate(self._blocks):
            newer = [each for each in self._blocks[number + 1 :] if each.overlaps(block)]
            for key, content in entries_of(block.entries):
                if self._learned(key) is None and not any(each.get(key) for each in newer):
                    yield key, content
        yield from self._few.items()
        for share in self._shares:
            yield from entries_of(share)

    def _learned(self, key: bytes) -> bytes | None:
        """What has been learned behind the blocks."""
        if not self._shares:
            return self._few.get(key)
        share = self._share_of(key)
        start = _found(key, share)
        return bytes(share[start + KEY_BYTES : start + ENTRY_BYTES]) if start >= 0 else None

    def _pack(self, rows: bytes) -> None:
        for start in range(0, len(rows), ENTRY_BYTES):
            entry = rows[start : start + ENTRY_BYTES]
            share = self._share_of(entry)
            place = _found(entry[:KEY_BYTES], share)
            if place < 0:
                share += entry
                self._packed += 1
            else:
                share[place : place + ENTRY_BYTES] = entry

    def _share_of(self, key: bytes) -> bytearray:
        return self._shares[key[0] << 6 | key[1] >> 2]


def in_order(known: KnownKeys, most: int) -> list[bytes]:
    """Rows of at most `most` entries that hold what is known, in the order of the keys."""
    entries = sorted(key + content for key, content in known.items())
    return [IN_ORDER + b"".join(entries[start : start + most]) for start in range(0, len(entries), most)]


def _found(key: bytes, share: bytearray) -> int:
    """Where its entry begins, or -1; the same bytes across two entries are not it."""
    place = share.find(key)
    while place % ENTRY_BYTES and place >= 0:
        place = share.find(key, place + 1)
    return place

"""Keys of records and the content last kept under each, held so that a million of them fit into memory.

Some thousand are a dictionary, at 120 bytes each and more. More are shared out by how their keys begin; a share is
nothing but its entries, one behind the other, in which a key is looked for as a piece of text.
"""

from collections.abc import Iterator

from processors.records import ENTRY_BYTES, KEY_BYTES, SeenKeys, learn

FEW = 10_000
SHARES = 1 << 14

PACKED_WEIGHT = 6
"""So many entries of a share take the room of one in a dictionary."""


class KnownKeys:
    """As much of a dictionary as the dedupe index needs."""

    __slots__ = ("_few", "_packed", "_shares")

    def __init__(self) -> None:
        self._few: SeenKeys = {}
        self._shares: list[bytearray] = []
        self._packed = 0

    @property
    def weight(self) -> int:
        """The room it takes, in entries of a dictionary."""
        return len(self._few) + len(self._shares) // 2 + self._packed // PACKED_WEIGHT

    def get(self, key: bytes, /) -> bytes | None:
        """The content last learned under this key."""
        if not self._shares:
            return self._few.get(key)
        share = self._share_of(key)
        start = _found(key, share)
        return bytes(share[start + KEY_BYTES : start + ENTRY_BYTES]) if start >= 0 else None

    def learn(self, rows: bytes) -> None:
        """Put in what a row of the index holds."""
        if self._shares:
            self._pack(rows)
            return
        learn(self._few, rows)
        if len(self._few) > FEW:
            self._shares = [bytearray() for _ in range(SHARES)]
            self._pack(b"".join(key + content for key, content in self._few.items()))
            self._few = {}

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key once, in no order that means anything."""
        yield from self._few.items()
        for share in self._shares:
            for start in range(0, len(share), ENTRY_BYTES):
                middle = start + KEY_BYTES
                yield bytes(share[start:middle]), bytes(share[middle : start + ENTRY_BYTES])

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


def _found(key: bytes, share: bytearray) -> int:
    """Where its entry begins, or -1; the same bytes across two entries are not it."""
    place = share.find(key)
    while place % ENTRY_BYTES and place >= 0:
        place = share.find(key, place + 1)
    return place

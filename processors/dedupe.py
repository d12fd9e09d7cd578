"""The dedupe index in memory: what a user already has in a stream.

The truth is a log in the stream's partition, a row per page, of which the checkpoint says what it is called and how far
it reaches. An instance that has read it up to some position needs only what came after, so this cache saves reads and
can't be wrong: it is asked for an exact position.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from processors.known_keys import KnownKeys
from shared.adapters.checkpoint_table import CheckpointTable
from shared.checkpoint import Checkpoint

MOST_ENTRIES = 150_000
"""Keys and streams held in memory, over all users: about 30 MB. Of streams with many keys, six count as one."""


@dataclass(slots=True)
class _Known:
    position: int = 0
    keys: KnownKeys = field(default_factory=KnownKeys)
    entries: int = 1
    """What it counts for; a stream without keys takes room too."""

    def learn(self, row: bytes) -> None:
        self.keys.learn(row)
        self.position += 1

    def weighed(self) -> "_Known":
        self.entries = self.keys.weight + 1
        return self


@dataclass(frozen=True, slots=True)
class Seen:
    """The keys of a user in a stream, not to be changed, and how many rows had to be read for it: none is a hit."""

    keys: KnownKeys
    rows_read: int


class SeenCache:
    """Least recently used streams are forgotten when there are too many keys."""

    def __init__(self, most_entries: int = MOST_ENTRIES):
        self._most_entries = most_entries
        self._known: OrderedDict[tuple[object, str], _Known] = OrderedDict()
        self._entries = 0

    def __len__(self) -> int:
        """How many streams it knows now."""
        return len(self._known)

    async def seen(self, checkpoint: Checkpoint, checkpoints: CheckpointTable) -> Seen:
        """What the index holds where `checkpoint` stands. Raises Conflict."""
        name = (checkpoint.key, checkpoint.index)
        known = self._taken(name)
        if known.position > checkpoint.index_position:
            known = _Known()  # the index was begun anew under its old name
        begun = known.position
        if known.position < checkpoint.index_position:
            for row in await checkpoints.seen(checkpoint, known.position):
                known.learn(row)
        self._put(name, known)
        return Seen(known.keys, known.position - begun)

    def advance(self, committed: Checkpoint, learned: bytes) -> None:
        """`learned` was committed as the last row of the index; whoever holds the row before may skip reading it."""
        name = (committed.key, committed.index)
        if learned and name in self._known and self._known[name].position == committed.index_position - 1:
            known = self._taken(name)
            known.learn(learned)
            self._put(name, known)

    def _taken(self, name: tuple[object, str]) -> _Known:
        known = self._known.pop(name, None)
        if known is None:
            return _Known()
        self._entries -= known.entries
        return known

    def _put(self, name: tuple[object, str], known: _Known) -> None:
        if name in self._known:  # read by two at once: what is exact for both stays
            self._taken(name)
        self._known[name] = known.weighed()
        self._entries += known.entries
        while self._entries > self._most_entries and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            self._entries -= oldest.entries

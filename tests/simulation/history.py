"""Everything that was ever written to a table, and the commits that can be read out of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from shared.adapters.checkpoint_table import CommittedPage, to_checkpoint, to_page
from shared.adapters.tables import Row
from shared.checkpoint import Checkpoint
from shared.services import utc_now
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.memory_tables import MemoryTable


@dataclass(frozen=True)
class Change:
    """A row as it was before and after; rows of one transaction bear the same number."""

    transaction: int
    at: float
    before: Row | None
    after: Row


@dataclass(frozen=True)
class Commit:
    """Pages of a run: the checkpoint before and after, and the outbox rows of those with new records, in order."""

    at: float
    before: Checkpoint
    after: Checkpoint
    pages: tuple[CommittedPage, ...]

    @property
    def count(self) -> int:
        return self.after.next_seq - self.before.next_seq


class WatchedTable(MemoryTable):
    """Remembers every row that was ever stored. `clock` gives the second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.changes: list[Change] = []
        self.passed: list[Change] = []
        self.commits: list[Commit] | None = None
        self._clock = clock
        self._transaction = 0

    def _begin_write(self) -> None:
        self._transaction += 1
        super()._begin_write()

    def _store(self, row: Row) -> str:
        before = self.rows.get((row.partition, row.key))
        change = Change(self._transaction, self._clock(), before, row)
        self.changes.append(change)
        if row.key.startswith("passed|"):
            self.passed.append(change)
        return super()._store(row)


class WatchedObjects(MemoryObjects):
    """Remembers every object that was ever written."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        super().__init__(now)
        self.written: dict[str, bytes] = {}

    async def write_once(self, name: str, data: bytes) -> None:
        await super().write_once(name, data)
        self.written[name] = data


def commits_of(streams: WatchedTable) -> list[Commit]:
    """In the order they happened: every step of a checkpoint to another page of its run. To be asked for at rest."""
    if streams.commits is None:
        streams.commits = list(_commits(streams))
    return streams.commits


def _commits(streams: WatchedTable) -> Iterator[Commit]:
    for _, group in groupby(streams.changes, key=lambda change: change.transaction):
        together = list(group)
        for change in together:
            commit = _commit(change, [each.after for each in together])
            if commit is not None:
                yield commit


def _commit(change: Change, rows: list[Row]) -> Commit | None:
    if change.before is None or not change.after.key.startswith("checkpoint|"):
        return None
    if change.before.values["next_seq"] == change.after.values["next_seq"]:
        return None
    before, after = to_checkpoint(change.before), to_checkpoint(change.after)
    if before.run != after.run or before.strands:  # the ledger of a run follows its strands
        return None
    pages = [to_page(row) for row in rows if row.key.startswith("page|")]
    return Commit(change.at, before, after, tuple(sorted(pages, key=lambda page: page.seq)))

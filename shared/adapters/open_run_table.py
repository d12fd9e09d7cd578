"""The index of open runs: what the reconciler looks through.

A row is written before its checkpoint and removed by the reconciler after the end, so the index errs only by naming
too much. Spread over a few partitions, because one partition takes 2,000 writes a second.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.adapters import keys
from shared.adapters.tables import Row, Table, Value
from shared.checkpoint import DUE, Extent
from shared.messages import StreamKey

PARTITIONS = 16


@dataclass(frozen=True, slots=True)
class OpenRun:
    """`since` is when the row was written; `extent` is what the run was asked for, should it have to be begun from
    here."""

    key: StreamKey
    run: str
    since: datetime
    extent: Extent = DUE
    etag: str | None = field(default=None, compare=False, repr=False)


class OpenRunTable:
    def __init__(self, table: Table):
        self._table = table

    async def add(self, open_run: OpenRun) -> None:
        await self._table.put(_to_row(open_run))

    async def remove(self, open_run: OpenRun) -> None:
        """Raises Conflict if a new run of the same stream and user has taken the row since it was read."""
        await self._table.delete(_to_row(open_run))

    async def all(self, first: int = 0) -> AsyncIterator[OpenRun]:
        """Each once, those of the partition `first` to begin with."""
        first %= PARTITIONS
        if first:
            async for row in self._table.scan(after=_partition(first - 1)):
                yield _to_open_run(row)
        async for row in self._table.scan():
            if first and row.partition >= _partition(first):
                return
            yield _to_open_run(row)


def _partition(number: int) -> str:
    return f"{number:02d}"


def _to_row(open_run: OpenRun) -> Row:
    key = open_run.key
    partition = _partition(int(key.digest(), 16) % PARTITIONS)
    values: dict[str, Value] = {
        "pipeline": key.pipeline,
        "stream": key.stream,
        "user": key.user,
        "run": open_run.run,
        "since": open_run.since,
        "from": open_run.extent.since,
        "until": open_run.extent.until,
        "full": open_run.extent.full,
    }
    return Row(partition, keys.key(key.pipeline, key.stream, key.user), values, open_run.etag)


def _to_open_run(row: Row) -> OpenRun:
    values: dict[str, Any] = row.values
    key = StreamKey(values["pipeline"], values["stream"], values["user"])
    extent = Extent(values.get("from", ""), values.get("until", ""), values.get("full", False))
    return OpenRun(key, values["run"], values["since"], extent, row.etag)

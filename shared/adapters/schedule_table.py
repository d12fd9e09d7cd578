"""Up to where each stream's users have been started, and runs that were asked for. A row per stream."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.adapters import keys
from shared.adapters.tables import Row, Table, Value
from shared.checkpoint import DUE, Extent
from shared.errors import AlreadyExists, Conflict


@dataclass(frozen=True, slots=True)
class Schedule:
    """`tick` is the moment whose runs were started last; `finished` says whether all users have been gone through,
    and `after` names the last of them while that goes on.

    `requested` is a moment for which somebody asked for runs out of schedule, of the `extent`.
    """

    pipeline: str
    stream: str
    tick: datetime | None = None
    finished: bool = True
    after: str | None = None
    requested: datetime | None = None
    extent: Extent = DUE
    etag: str | None = field(default=None, compare=False, repr=False)

    def extent_at(self, tick: datetime) -> Extent:
        """What the runs of this moment were asked for."""
        return self.extent if tick == self.requested else DUE

    def started(self, tick: datetime) -> "Schedule":
        return replace(self, tick=tick, finished=False, after=None)

    def advanced(self, user: str) -> "Schedule":
        return replace(self, after=user)

    def completed(self) -> "Schedule":
        return replace(self, finished=True, after=None)


class ScheduleTable:
    def __init__(self, table: Table):
        self._table = table

    async def read(self, pipeline: str, stream: str) -> Schedule:
        row = await self._table.get("schedule", keys.key(pipeline, stream))
        return _to_schedule(row) if row else Schedule(pipeline, stream)

    async def write(self, schedule: Schedule) -> Schedule:
        """Raises Conflict if another scheduler has written since it was read."""
        row = _to_row(schedule)
        try:
            etag = await (self._table.replace(row) if row.etag else self._table.insert(row))
        except AlreadyExists:
            raise Conflict("another scheduler was first") from None
        return replace(schedule, etag=etag)

    async def request(self, pipeline: str, stream: str, tick: datetime, extent: Extent = DUE) -> None:
        """Ask for a run of every user; asking twice for the same tick is asking once."""
        while True:
            schedule = await self.read(pipeline, stream)
            try:
                await self.write(replace(schedule, requested=tick, extent=extent))
            except Conflict:
                continue
            return


def _to_row(schedule: Schedule) -> Row:
    values: dict[str, Value | None] = {
        "pipeline": schedule.pipeline,
        "stream": schedule.stream,
        "tick": schedule.tick,
        "finished": schedule.finished,
        "after": schedule.after,
        "requested": schedule.requested,
        "from": schedule.extent.since,
        "until": schedule.extent.until,
        "full": schedule.extent.full,
    }
    present = {name: value for name, value in values.items() if value is not None}
    return Row("schedule", keys.key(schedule.pipeline, schedule.stream), present, schedule.etag)


def _to_schedule(row: Row) -> Schedule:
    values: dict[str, Any] = dict(row.values)
    extent = Extent(values.pop("from", ""), values.pop("until", ""), values.pop("full", False))
    return Schedule(etag=row.etag, extent=extent, **values)

"""How long messages wait in their queues, as seen by those who take them out: what waits is not lost.

A row for each queue, written by whoever notices, and by nobody while queues are short.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from shared.adapters import keys
from shared.adapters.tables import Row, Table, Value
from shared.errors import StorageError

NOTEWORTHY = timedelta(seconds=15)
"""Shorter waits are not told: who goes by them has more patience than that."""

EVERY = 15.0
"""Seconds between two notes of one process about a queue."""

MOST_QUEUES = 100


class BacklogTable:
    """`clock` is monotonic seconds."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.monotonic):
        self._table = table
        self._clock = clock
        self._told_at: dict[str, float] = {}

    async def note(self, queue: str, enqueued_at: datetime | None, now: datetime) -> None:
        """A message of the queue is taken out `now` that has been available since `enqueued_at`. Never raises."""
        if enqueued_at is None or now - enqueued_at < NOTEWORTHY:
            return
        if self._clock() - self._told_at.get(queue, -EVERY) < EVERY:
            return
        self._told_at[queue] = self._clock()
        with suppress(StorageError):  # somebody else will notice
            told: dict[str, Value] = {"queue": queue, "seconds": (now - enqueued_at).total_seconds(), "at": now}
            await self._table.put(Row("control", keys.key("backlog", queue), told))

    async def waits(self, since: datetime) -> dict[str, timedelta]:
        """Queue → how long a message waited that was taken out after `since`."""
        rows: list[dict[str, Any]] = [
            row.values for row in await self._table.range("control", "backlog|", "backlog}", MOST_QUEUES)
        ]
        return {row["queue"]: timedelta(seconds=row["seconds"]) for row in rows if row["at"] > since}

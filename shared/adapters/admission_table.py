"""Admission: how much may start, 0 to 100 percent. One row that every instance looks at every few seconds."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.adapters.tables import Row, Table
from shared.messages import StreamKey

FRESH = timedelta(seconds=5)
"""How long an instance may act on what it read last; a stop takes effect everywhere within this."""


class AdmissionTable:
    def __init__(self, table: Table, now: Callable[[], datetime]):
        self._table = table
        self._now = now
        self._percent = 100
        self._read_at: datetime | None = None

    async def admits(self, key: StreamKey) -> bool:
        """Whether this stream and user may go on now; at 40 percent the same 40 of 100 always may."""
        return int(hashlib.blake2b(str(key).encode(), digest_size=4).hexdigest(), 16) % 100 < await self.percent()

    async def percent(self) -> int:
        """100 where nobody has ever set it."""
        now = self._now()
        if self._read_at is None or not timedelta(0) <= now - self._read_at < FRESH:  # a clock may be set back
            row = await self._table.get("control", "admission")
            self._percent = int(str(row.values["percent"])) if row else 100
            self._read_at = now
        return self._percent

    async def set(self, percent: int) -> None:
        await self._table.put(Row("control", "admission", {"percent": percent}))
        self._read_at = None

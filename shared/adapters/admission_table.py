"""Admission: how much may start, 0 to 100 percent. One row that every instance looks at every few seconds."""

import hashlib
import time
from collections.abc import Callable

from shared.adapters.tables import Row, Table
from shared.messages import StreamKey

FRESH = 5.0
"""Seconds; how long an instance may act on what it read last; a stop takes effect everywhere within this."""


class AdmissionTable:
    """`clock` is monotonic seconds: the clock on the wall may be set back, and a stop would wait for it."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.monotonic):
        self._table = table
        self._clock = clock
        self._percent = 100
        self._read_at: float | None = None

    async def admits(self, key: StreamKey) -> bool:
        """Whether this stream and user may go on now; at 40 percent the same 40 of 100 always may."""
        return int(hashlib.blake2b(str(key).encode(), digest_size=4).hexdigest(), 16) % 100 < await self.percent()

    async def percent(self) -> int:
        """100 where nobody has ever set it."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= FRESH:
            row = await self._table.get("control", "admission")
            self._percent = int(str(row.values["percent"])) if row else 100
            self._read_at = now
        return self._percent

    async def set(self, percent: int) -> None:
        await self._table.put(Row("control", "admission", {"percent": percent}))
        self._read_at = None

"""An in-memory ObjectStore."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from shared.adapters.objects import Found
from shared.errors import AlreadyExists, OutputUnavailable
from shared.services import utc_now


class MemoryObjects:
    """`away` makes every call fail as a full disk does; `meanwhile` happens once, before the next write."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.objects: dict[str, bytes] = {}
        self.written_at: dict[str, datetime] = {}
        self._now = now
        self.away = False
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def write_once(self, name: str, data: bytes) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        self._check_outage()
        if name in self.objects:
            raise AlreadyExists(name)
        self.objects[name] = data
        self.written_at[name] = self._now()

    async def read(self, name: str) -> bytes | None:
        self._check_outage()
        return self.objects.get(name)

    async def delete(self, name: str) -> None:
        self._check_outage()
        self.objects.pop(name, None)

    async def list(self, prefix: str) -> AsyncIterator[Found]:
        self._check_outage()
        for name in sorted(self.objects):
            if name.startswith(prefix) and name in self.objects:
                yield Found(name, len(self.objects[name]), self.written_at.get(name, self._now()))

    def _check_outage(self) -> None:
        if self.away:
            raise OutputUnavailable("the output is away")

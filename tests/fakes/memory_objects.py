"""An in-memory ObjectStore."""

from collections.abc import Awaitable, Callable

from shared.errors import AlreadyExists, OutputUnavailable


class MemoryObjects:
    """`away` makes every call fail as a full disk does; `meanwhile` happens once, before the next write."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
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

    async def read(self, name: str) -> bytes | None:
        self._check_outage()
        return self.objects.get(name)

    async def delete(self, name: str) -> None:
        self._check_outage()
        self.objects.pop(name, None)

    def _check_outage(self) -> None:
        if self.away:
            raise OutputUnavailable("the output is away")

"""Worker processes that can be killed at any point, and the instrumented ports they see the outside through.

Every call of a port passes two points: before and after its effect. They are found by wrapping whatever the port
offers, so a step that is added to a handler is covered by being written.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from processors.dedupe import MOST_ENTRIES, SeenCache


class Killed(BaseException):
    """The process is gone; nothing of it runs any more. Not an Exception, so no handler can survive it."""


@dataclass(eq=False)
class Process:
    """One worker and what it has in memory. `skew` is how far its clock is ahead now, in seconds; `bury` is called
    when it dies."""

    name: str
    skew: float = 0.0
    cache_entries: int = MOST_ENTRIES
    bury: Callable[[], None] = lambda: None
    dead: bool = False
    cache: SeenCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = SeenCache(self.cache_entries)

    def check(self) -> None:
        if self.dead:
            raise Killed(self.name)

    def kill(self) -> None:
        self.dead = True
        self.bury()


class Weather(Protocol):
    """Decides what happens at a point: time passes, the process dies, the call fails."""

    async def before(self, process: Process, call: str, subject: Any) -> float | None:
        """How many seconds from now the call takes effect though its caller has given up, or None: at once."""
        ...

    async def after(self, process: Process, call: str, subject: Any) -> None: ...

    async def give_up(self, process: Process, call: str, late: Callable[[], Any], seconds: float) -> None:
        """The caller waits for an answer in vain; the call takes effect when it wants. Always raises."""
        ...


class FineWeather:
    """Nothing ever happens, and at once."""

    async def before(self, process: Process, call: str, subject: Any) -> float | None:
        return None

    async def after(self, process: Process, call: str, subject: Any) -> None:
        return None

    async def give_up(self, process: Process, call: str, late: Callable[[], Any], seconds: float) -> None:
        raise AssertionError("nothing is late in fine weather")


class Port:
    """A door of one process: the same methods, with weather before and after each."""

    def __init__(self, inner: Any, name: str, process: Process, weather: Weather):
        self._inner = inner
        self._name = name
        self._process = process
        self._weather = weather

    def __getattr__(self, method: str) -> Any:
        inner = getattr(self._inner, method)
        call = f"{self._name}.{method}"
        wrapped: Any = inner
        if inspect.isasyncgenfunction(inner):
            wrapped = lambda *args, **named: self._iterate(inner, call, args, named)  # noqa: E731 - as short as it is
        elif inspect.iscoroutinefunction(inner):
            wrapped = lambda *args, **named: self._call(inner, call, args, named)  # noqa: E731 - as short as it is
        self.__dict__[method] = wrapped
        return wrapped

    async def _call(self, inner: Any, call: str, args: Any, named: Any) -> Any:
        late = await self._weather.before(self._process, call, args)
        if late is not None:
            await self._weather.give_up(self._process, call, partial(inner, *args, **named), late)
        result = await inner(*args, **named)
        await self._weather.after(self._process, call, args)
        return result

    async def _iterate(self, inner: Any, call: str, args: Any, named: Any) -> AsyncIterator[Any]:
        await self._weather.before(self._process, call, args)
        async for each in inner(*args, **named):
            yield each
        await self._weather.after(self._process, call, args)

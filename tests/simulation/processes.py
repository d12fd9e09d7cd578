"""Worker processes that can be killed at any point, and the instrumented ports they see the outside through.

Every call of a port passes two points: before and after its effect. They are found by wrapping whatever the port
offers, so a step that is added to a handler is covered by being written.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol


class Killed(BaseException):
    """The process is gone; nothing of it runs any more. Not an Exception, so no handler can survive it."""


@dataclass(eq=False)
class Process:
    """One worker. `skew` is how far its clock is ahead, in seconds."""

    name: str
    skew: float = 0.0
    dead: bool = False
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    def check(self) -> None:
        if self.dead:
            raise Killed(self.name)

    def kill(self) -> None:
        self.dead = True


class Weather(Protocol):
    """Decides what happens at a point: time passes, the process dies, the call fails."""

    async def before(self, process: Process, call: str) -> None: ...

    async def after(self, process: Process, call: str) -> None: ...


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
        if inspect.isasyncgenfunction(inner):
            return lambda *args, **named: self._iterate(inner, call, args, named)
        if inspect.iscoroutinefunction(inner):
            return lambda *args, **named: self._call(inner, call, args, named)
        return inner

    async def _call(self, inner: Any, call: str, args: Any, named: Any) -> Any:
        await self._weather.before(self._process, call)
        result = await inner(*args, **named)
        await self._weather.after(self._process, call)
        return result

    async def _iterate(self, inner: Any, call: str, args: Any, named: Any) -> AsyncIterator[Any]:
        await self._weather.before(self._process, call)
        async for each in inner(*args, **named):
            yield each
        await self._weather.after(self._process, call)

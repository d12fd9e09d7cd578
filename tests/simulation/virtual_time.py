"""An event loop whose time passes only while nothing is ready: hours take milliseconds, and the order is fixed."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any


class Stuck(AssertionError):
    """Every task waits for something that nothing will bring about."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Starts at second 0. There is no I/O, so there are no threads, no sockets and no signals either."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._due: list[tuple[float, int, asyncio.TimerHandle | asyncio.Future[None]]] = []
        self._count = 0
        self._running = False

    def time(self) -> float:
        return self._now

    def run_until_complete(self, future: Any) -> Any:
        """Raises Stuck when nothing is ready and nothing is due."""
        task = asyncio.ensure_future(future, loop=self)
        self._running = True
        asyncio.events._set_running_loop(self)
        try:
            while not task.done():
                self._turn()
        finally:
            asyncio.events._set_running_loop(None)
            self._running = False
        return task.result()

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._due, (when, self._count, handle))
        return handle

    async def pause(self, seconds: float) -> None:
        """What `asyncio.sleep` does, at half the price: most of what a simulation does is to wait."""
        future: asyncio.Future[None] = asyncio.Future(loop=self)
        self._count += 1
        heapq.heappush(self._due, (self._now + seconds, self._count, future))
        await future

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self, **options)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """What is computed aside takes no time either."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to who awaits the result
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Killed tasks end with nobody to tell."""

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def _turn(self) -> None:
        """Everything that is ready, or else the next thing that is due."""
        ready = self._ready
        if not ready:
            self._pass_time()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _pass_time(self) -> None:
        while self._due:
            when, _, due = heapq.heappop(self._due)
            if due.cancelled():
                continue
            self._now = max(self._now, when)
            if isinstance(due, asyncio.Future):
                due.set_result(None)
            else:
                self._ready.append(due)
            return
        raise Stuck("nothing is ready and nothing is due")

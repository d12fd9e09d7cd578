"""The host: puts worker, listeners, timers and HTTP together, and takes them apart without losing a message."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from devtools.local_host.assembly import enabled, queue_listeners, timers
from devtools.local_host.broker import Broker
from devtools.local_host.errors import HostError
from devtools.local_host.host_json import HostOptions
from devtools.local_host.host_rules import mistakes
from devtools.local_host.http_server import HttpServer
from devtools.local_host.ready_file import ReadyFile
from devtools.local_host.registrations import Registration
from devtools.local_host.service_bus_listener import QueueListener
from devtools.local_host.settings import AppSettings
from devtools.local_host.timers import ScheduleMonitor
from devtools.local_host.trigger_data import TriggerData
from devtools.local_host.worker_pool import WorkerPool
from devtools.local_host.worker_process import Outcome, WorkerCommand

log = logging.getLogger(__name__)

WORKERS_SETTING = "FUNCTIONS_WORKER_PROCESS_COUNT"
MOST_WORKERS = 10
SECONDS_TO_CLOSE = 5.0


@dataclass(frozen=True)
class HostArguments:
    """What the command line gives. `drain_seconds`: how long running functions may take after the first signal."""

    script_root: Path
    drain_seconds: float
    ready_file: Path | None
    timer_state: Path | None


class Host:
    """One local run of a function app. `listening` is a bound socket, so that a port in use is found first."""

    def __init__(
        self, arguments: HostArguments, settings: AppSettings, options: HostOptions, listening: socket.socket
    ) -> None:
        self._arguments = arguments
        self._settings = settings
        self._options = options
        self._listening = listening
        self._port: int = listening.getsockname()[1]
        self._ready_file = ReadyFile(arguments.ready_file)
        self._pool = self._new_pool()
        self._brokers: list[Broker] = []
        self._listeners: list[QueueListener] = []
        self._receiving: set[asyncio.Task[Any]] = set()
        self._timing: set[asyncio.Task[Any]] = set()
        self._by_hand: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None
        self._is_ready = False

    def _new_pool(self) -> WorkerPool:
        command = WorkerCommand(self._arguments.script_root, self._settings.values, self._options.log_level)
        count = self._settings.get(WORKERS_SETTING) or "1"
        if not count.isdecimal() or not 1 <= int(count) <= MOST_WORKERS:
            raise HostError(f"{WORKERS_SETTING} is {count!r}, allowed: 1 to {MOST_WORKERS}")
        return WorkerPool(command, int(count), self._options.function_timeout, self._tell_readiness)

    def _tell_readiness(self) -> None:
        if self._is_ready:
            self._ready_file.write(self._port, self._pool.pids)

    async def run(self, stop: asyncio.Event) -> None:
        """Start, serve until `stop`, drain. Raises HostError when the app cannot run; nothing is left behind then."""
        stopped = asyncio.create_task(stop.wait())
        try:
            if await self._start_unless(stopped):
                await self._serve(stopped)
                await self._drain()
        finally:
            self._is_ready = False
            self._ready_file.remove()
            await self._close()
            stopped.cancel()

    async def _start_unless(self, stopped: asyncio.Task[bool]) -> bool:
        """Start everything; False when stopped before that was done, as while the broker is away."""
        starting = asyncio.create_task(self._start())
        await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return False
        starting.result()
        return True

    async def _start(self) -> None:
        registered = await self._pool.start()
        if lines := mistakes(registered, self._settings, self._options, datetime.now(UTC)):
            raise HostError(*lines)
        functions = enabled(registered, self._settings)
        self._listeners, self._brokers = queue_listeners(
            functions, self._settings, self._options.service_bus, self._invoke, self._pool.wait_ready
        )
        await self._open_listeners()
        monitor = ScheduleMonitor(self._arguments.timer_state)
        its_timers = timers(functions, self._settings, monitor, self._invoke)
        await self._start_http(functions)
        for listener in self._listeners:
            _start_task(listener.run(), self._receiving)
        for timer in its_timers:
            _start_task(timer.run(), self._timing)
        self._is_ready = True
        self._tell_readiness()
        log.info("ready: %d functions, worker %s", len(functions), ", ".join(map(str, self._pool.pids)))

    async def _open_listeners(self) -> None:
        """Open all links. Raises HostError with a line for each queue that is missing."""
        opened = await asyncio.gather(*(entry.open() for entry in self._listeners), return_exceptions=True)
        failures = [failure for failure in opened if failure is not None]
        if lines := [line for failure in failures if isinstance(failure, HostError) for line in failure.lines]:
            raise HostError(*lines)
        for failure in failures:
            raise failure

    async def _start_http(self, functions: Sequence[Registration]) -> None:
        server = HttpServer(functions, self._options.route_prefix, self._invoke, self._start_by_hand, self._status)
        self._runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listening).start()
        log.info("http://127.0.0.1:%d answers", self._port)

    def _status(self) -> dict[str, Any]:
        state = "Running" if self._is_ready else "Starting"
        return {"id": "local", "state": state, "version": "4", "processId": os.getpid()}

    def _start_by_hand(self, function: Registration, data: TriggerData) -> None:
        _start_task(self._invoke(function.name, data), self._by_hand)

    async def _invoke(self, function: str, data: TriggerData) -> Outcome:
        """Run a function and log how it ended; that it began is for --verbose."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        log.debug("function %s begins%s", function, data.named())
        outcome = await self._pool.invoke(function, data)
        if outcome.error is not None:
            said = [f"{outcome.error}{data.named()}", outcome.traceback]
            log.error("function %s failed: %s", function, "\n".join(filter(None, said)))
        else:
            log.debug("function %s succeeded in %d ms%s", function, (loop.time() - started) * 1000, data.named())
        return outcome

    async def _serve(self, stopped: asyncio.Task[bool]) -> None:
        """Wait for the signal. A listener or timer never ends by itself: if one does, that is a defect to show."""
        endless = self._receiving | self._timing
        done, _ = await asyncio.wait([stopped, *endless], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _drain(self) -> None:
        """Receive no more, let running functions finish, then give the rest of the messages back."""
        log.info("stopping; running functions may take %g s", self._arguments.drain_seconds)
        for listener in self._listeners:
            listener.stop()
        for task in self._timing:
            task.cancel()
        idle = asyncio.create_task(self._pool.wait_idle())
        await asyncio.wait([idle, *self._receiving], timeout=self._arguments.drain_seconds)
        idle.cancel()
        # Whatever still runs fails now, so that its message is abandoned at once.
        await self._pool.close()
        if self._receiving:
            await asyncio.wait(self._receiving, timeout=SECONDS_TO_CLOSE)

    async def _close(self) -> None:
        tasks = self._receiving | self._timing | self._by_hand
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self._listening.close()
        await self._pool.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_TO_CLOSE):
                await _all(listener.close() for listener in self._listeners)
                await _all(broker.close() for broker in self._brokers)

    def kill(self) -> None:
        """Leave nothing running, for an exit without a drain."""
        self._pool.kill()
        self._ready_file.remove()


def _start_task(work: Coroutine[Any, Any, Any], among: set[asyncio.Task[Any]]) -> None:
    task = asyncio.create_task(work)
    among.add(task)
    task.add_done_callback(among.discard)


async def _all(closing: Any) -> None:
    """Close all at once: the SDK takes up to a second for each."""
    await asyncio.gather(*closing, return_exceptions=True)

"""The worker processes of a host: started, restarted when they end, asked by turns."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from devtools.local_host.errors import HostError
from devtools.local_host.frames import Head
from devtools.local_host.registrations import Registration
from devtools.local_host.trigger_data import TriggerData
from devtools.local_host.worker_process import Outcome, UnreadableAppError, WorkerCommand, WorkerProcess

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """Seconds between restarts of a worker that keeps ending: doubled from `first` up to `longest`.

    A worker that lived for `steady` seconds starts anew at `first`.
    """

    first: float = 0.5
    longest: float = 15.0
    steady: float = 30.0


class WorkerPool:
    """`count` workers. `changed` is called when their process ids have changed.

    `function_timeout` in seconds, None for no limit: a function that takes longer costs its worker the life, as in
    Azure, and with it whatever else that worker was running.
    """

    def __init__(
        self,
        command: WorkerCommand,
        count: int,
        function_timeout: float | None,
        changed: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
    ) -> None:
        self._command = command
        self._count = count
        self._function_timeout = function_timeout
        self._changed = changed
        self._pace = pace or Pace()
        self._workers: list[WorkerProcess] = []
        self._supervisors: list[asyncio.Task[None]] = []
        self._has_worker = asyncio.Event()

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    @property
    def is_ready(self) -> bool:
        return self._has_worker.is_set()

    async def start(self) -> list[Registration]:
        """Start all workers and return what the app registers. Raises HostError when it cannot be read."""
        workers = await asyncio.gather(*(WorkerProcess.start(self._command) for _ in range(self._count)))
        self._workers.extend(workers)
        try:
            registered = await asyncio.gather(*(worker.registrations() for worker in workers))
        except UnreadableAppError as error:
            await self.close()
            raise HostError(str(error)) from None
        self._has_worker.set()
        self._supervisors = [asyncio.create_task(self._supervise(worker)) for worker in workers]
        return registered[0]

    async def invoke(self, function: str, data: TriggerData) -> Outcome:
        """Run a function once, on the worker that is running least. Waits while none is alive."""
        while not self._workers:
            self._has_worker.clear()
            await self._has_worker.wait()
        worker = min(self._workers, key=lambda candidate: candidate.load)
        return await self._within_timeout(worker, data.head(function), data.body)

    async def _within_timeout(self, worker: WorkerProcess, head: Head, body: bytes) -> Outcome:
        future = worker.invoke(head, body)
        if self._function_timeout is None:
            return await future
        reason = f"{head['function']} exceeded functionTimeout ({self._function_timeout:g} s)"
        timer = asyncio.get_running_loop().call_later(self._function_timeout, worker.kill, reason)
        try:
            return await future
        finally:
            timer.cancel()

    async def _supervise(self, worker: WorkerProcess) -> None:
        """Replace the worker each time it ends."""
        loop = asyncio.get_running_loop()
        delay = self._pace.first
        while True:
            started = loop.time()
            status = await asyncio.shield(worker.exited)
            self._remove(worker)
            if loop.time() - started > self._pace.steady:
                delay = self._pace.first
            log.error("worker %d ended (status %d); starting another in %g s", worker.pid, status, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._pace.longest)
            worker = await self._replacement()

    async def _replacement(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._command)
        try:
            await worker.registrations()
        except UnreadableAppError as error:
            log.error("%s", error)
            worker.kill("it could not read the app")
            return worker
        except asyncio.CancelledError:
            worker.kill("the host stopped")
            raise
        self._workers.append(worker)
        self._has_worker.set()
        self._changed()
        log.info("worker %d started", worker.pid)
        return worker

    def _remove(self, worker: WorkerProcess) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
        if not self._workers:
            self._has_worker.clear()
        self._changed()

    async def wait_idle(self) -> None:
        """Until no worker runs anything, whoever asked for it."""
        while any(worker.load for worker in self._workers):  # noqa: ASYNC110 - once per run, at its end
            await asyncio.sleep(0.05)

    async def wait_ready(self) -> None:
        await self._has_worker.wait()

    async def close(self) -> None:
        """End all workers; what they are still running fails."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in self._workers))
        self._workers.clear()

    def kill(self) -> None:
        for worker in self._workers:
            worker.kill("the host was stopped")

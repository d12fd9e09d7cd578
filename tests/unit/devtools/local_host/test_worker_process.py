"""One worker process, seen from the host."""

import asyncio

import pytest

from devtools.local_host.worker_process import Outcome, WorkerProcess


class Process:
    """A child process that `end` ends."""

    pid = 4711

    def __init__(self) -> None:
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


@pytest.fixture
async def process() -> Process:
    return Process()


async def test_what_a_worker_is_running_fails_when_it_ends(process: Process):
    worker = WorkerProcess(process)  # type: ignore[arg-type]  # a fake
    outcome = worker.invoke({"id": "1"}, b"")
    process.end(-9)
    assert await asyncio.wait_for(outcome, 5) == Outcome(error="the worker process ended")
    assert await worker.exited == -9
    assert worker.load == 0


async def test_what_is_asked_of_a_worker_that_has_ended_fails_at_once(process: Process):
    """The pool learns a moment later that it has ended; a function asked for in between must not wait for ever."""
    worker = WorkerProcess(process)  # type: ignore[arg-type]  # a fake
    process.end(-9)
    await worker.exited
    outcome = worker.invoke({"id": "1"}, b"")
    assert await asyncio.wait_for(outcome, 5) == Outcome(error="the worker process ended")
    assert worker.load == 0

"""One worker process, seen from the host."""

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools.local_host.frames import FrameConnection, Head
from devtools.local_host.registrations import Registration

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_EXIT = 3.0


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended.

    `error` is one line, None on success; `answer` and `body` are those of an HTTP function.
    """

    error: str | None = None
    traceback: str = ""
    answer: Head = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class WorkerCommand:
    """How to start a worker: `environment` holds the app settings already."""

    script_root: Path
    environment: dict[str, str]
    log_level: str


class UnreadableAppError(Exception):
    """The worker could not import the app; the message says where and why."""


class WorkerProcess:
    """A child process that runs functions. Its exit fails whatever it was running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._running: dict[str, asyncio.Future[Outcome]] = {}
        self._registered: asyncio.Future[list[Registration]] = asyncio.get_running_loop().create_future()
        self._end_reason = "the worker process ended"
        self.connection = FrameConnection(self._received, lambda: None)
        self.exited = asyncio.create_task(self._watch())

    @classmethod
    async def start(cls, command: WorkerCommand) -> "WorkerProcess":
        """Start the process; `registrations` tells when it is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "devtools.local_host.worker"),
                *(str(theirs.fileno()), str(command.script_root), command.log_level),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.PIPE,
                cwd=command.script_root,
                env=command.environment | {"PYTHONPATH": _python_path(command.environment)},
                # A Ctrl-C in the terminal is for the host, which lets its workers finish.
                start_new_session=True,
            )
        worker = cls(process)
        await asyncio.get_running_loop().create_connection(lambda: worker.connection, sock=ours)
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def load(self) -> int:
        return len(self._running)

    async def registrations(self) -> list[Registration]:
        """What the app registers. Raises UnreadableAppError."""
        return await asyncio.shield(self._registered)

    def invoke(self, head: Head, body: bytes) -> asyncio.Future[Outcome]:
        """Run a function. Fails at once where the process has ended, of which the pool learns a moment later."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._process.returncode is not None:
            future.set_result(Outcome(error=self._end_reason))
            return future
        self._running[head["id"]] = future
        self.connection.send({"kind": "invoke", **head}, body)
        return future

    def kill(self, reason: str) -> None:
        """End it at once. What it was running fails with `reason`."""
        self._end_reason = reason
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Let it leave by itself, then end it. What it was running fails."""
        self._end_reason = "the host stopped"
        self.connection.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(asyncio.shield(self.exited), SECONDS_TO_EXIT)
        except TimeoutError:
            self.kill(self._end_reason)
            await self.exited

    def _received(self, head: Head, body: bytes) -> None:
        if head["kind"] == "result":
            self._finish(head, body)
        elif head["kind"] == "indexed":
            self._registered.set_result([Registration.from_json(entry) for entry in head["functions"]])
        else:
            self._registered.set_exception(UnreadableAppError(head["error"]))

    def _finish(self, head: Head, body: bytes) -> None:
        future = self._running.pop(head["id"], None)
        if future is not None and not future.done():
            future.set_result(Outcome(head.get("error"), head.get("traceback", ""), head, body))

    async def _watch(self) -> int:
        """Wait for the exit and fail what was running. Returns the exit status, negative for a signal."""
        status = await self._process.wait()
        self.connection.close()
        if not self._registered.done():
            self._registered.set_exception(UnreadableAppError(f"the worker ended with status {status}"))
            self._registered.exception()  # seen here: nobody may be waiting for it
        for future in self._running.values():
            if not future.done():
                future.set_result(Outcome(error=self._end_reason))
        self._running.clear()
        return status


def _python_path(environment: dict[str, Any]) -> str:
    """The worker runs in the app's folder and must find this package from there."""
    return os.pathsep.join(filter(None, [str(PACKAGE_ROOT), environment.get("PYTHONPATH", "")]))

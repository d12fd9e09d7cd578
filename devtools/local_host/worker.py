"""The worker process: imports the app, says what it registers, then runs what the host asks for.

Started by worker_process.py as `python -m devtools.local_host.worker SOCKET SCRIPT_ROOT LOG_LEVEL`. It ends when the
host closes the socket, and also when the host dies: its standard input is the life line.
"""

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devtools.local_host.frames import FrameConnection, Head
from devtools.local_host.invocations import invoke
from devtools.local_host.registrations import AppError, UserFunction, index_app

THREADS_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"
SECONDS_TO_EXIT = 2.0


class Worker:
    """Runs invocations on the running loop; functions that are not async run on a thread pool."""

    def __init__(self, functions: list[UserFunction]) -> None:
        self._functions = {function.registration.name: function for function in functions}
        self._threads = ThreadPoolExecutor(int(os.environ.get(THREADS_SETTING, 0)) or None)
        self._running: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self.connection = FrameConnection(self._received, self._ended.set)

    def _received(self, head: Head, body: bytes) -> None:
        task = asyncio.create_task(self._answer(head, body))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, head: Head, body: bytes) -> None:
        self.connection.send(*await invoke(self._functions[head["function"]], head, body, self._threads))
        sys.stdout.flush()

    async def serve(self, host: socket.socket, registered: Head) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self.connection, sock=host)
        self.connection.send(registered)
        await self._ended.wait()


def _index(script_root: Path) -> tuple[list[UserFunction], Head]:
    try:
        functions = index_app(script_root)
    except AppError as error:
        return [], {"kind": "unreadable", "error": str(error)}
    return functions, {"kind": "indexed", "functions": [entry.registration.to_json() for entry in functions]}


async def _serve(host: socket.socket, script_root: Path) -> None:
    functions, registered = _index(script_root)
    await Worker(functions).serve(host, registered)


def _log_to_stderr(level: str) -> None:
    """As the real worker: a handler on the root logger. The Azure SDKs log every request at INFO: not wanted."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)


def _die_with_host() -> None:
    """Leave when the host is gone, even when a function holds the event loop."""
    os.read(sys.stdin.fileno(), 1)
    time.sleep(SECONDS_TO_EXIT)
    os._exit(1)


def main() -> None:
    descriptor, script_root, log_level = sys.argv[1:]
    threading.Thread(target=_die_with_host, daemon=True).start()
    _log_to_stderr(log_level)
    asyncio.run(_serve(socket.socket(fileno=int(descriptor)), Path(script_root)))


if __name__ == "__main__":
    main()

"""The log of the local host and its workers, line by line, each with the moment it was seen."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kills.recovery import Line

LOOKS_EVERY = 0.02


class HostLog:
    """Follows a file that is emptied when the host is started again; `catch_up` before that, or its end is missed."""

    def __init__(self, file: Path) -> None:
        self.lines: list[Line] = []
        self._file = file
        self._read = 0
        self._rest = b""
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @contextmanager
    def followed(self) -> Iterator["HostLog"]:
        follower = threading.Thread(target=self._follow, daemon=True)
        follower.start()
        try:
            yield self
        finally:
            self._ended.set()
            follower.join()

    def catch_up(self) -> int:
        """Read what is there; returns how many lines are known."""
        with self._lock:
            self._look()
            return len(self.lines)

    def _follow(self) -> None:
        while not self._ended.wait(LOOKS_EVERY):
            self.catch_up()

    def _look(self) -> None:
        try:
            size = self._file.stat().st_size
            if size < self._read:
                self._read, self._rest = 0, b""
            if size == self._read:
                return
            with self._file.open("rb") as file:
                file.seek(self._read)
                found = file.read()
        except FileNotFoundError:
            return
        now = time.monotonic()
        self._read += len(found)
        *whole, self._rest = (self._rest + found).split(b"\n")
        self.lines.extend(Line(now, line.decode(errors="replace")) for line in whole)

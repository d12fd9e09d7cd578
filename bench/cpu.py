"""CPU seconds and memory of the processes of a stack, from their start, sampled until they end."""

import contextlib
import threading
import time
from collections.abc import Callable
from statistics import linear_regression
from types import TracebackType

import psutil

Pids = dict[str, int]
"""Part of the stack → process id of its root."""


class CpuSampler:
    """While open, notes what each part has used; `host` is divided into itself and its worker children."""

    def __init__(self, pids: Callable[[], Pids], interval: float = 0.2):
        self._pids = pids
        self._interval = interval
        self._seconds: dict[str, dict[int, float]] = {}
        self._held: dict[str, list[tuple[float, float]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def seconds(self) -> dict[str, float]:
        """Part → CPU seconds, user and system."""
        return {part: sum(used.values()) for part, used in self._seconds.items()}

    def peaks(self) -> dict[str, float]:
        """Part → the most memory that one of its processes has held at a time, in MB."""
        return {part: max(held for _, held in samples) for part, samples in self._held.items()}

    def growth(self, part: str) -> float:
        """By how many MB a second the part has grown: a line through what it held in the second half of its time."""
        samples = self._held.get(part, [])
        half = samples[len(samples) // 2 :]
        return linear_regression(*zip(*half, strict=True)).slope if len(half) > 1 else 0.0

    def __enter__(self) -> "CpuSampler":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            for part, pid in self._pids().items():
                with contextlib.suppress(psutil.Error):
                    self._note(part, psutil.Process(pid))

    def _note(self, part: str, process: psutil.Process) -> None:
        self._add(part, process)
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                self._add("worker" if part == "host" else part, child)

    def _add(self, part: str, process: psutil.Process) -> None:
        times = process.cpu_times()
        self._seconds.setdefault(part, {})[process.pid] = times.user + times.system
        self._held.setdefault(part, []).append((time.monotonic(), process.memory_info().rss / 1e6))

"""Shows progress while it happens: one line that changes on a terminal, a new line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from devtools.cli.queue_depth import QueueDepth
from devtools.cli.watching import Progress

QUIET_SECONDS = 5.0
BAR_WIDTH = 24


class Display:
    """On standard error, so that standard output holds the result and nothing else."""

    def __init__(self, console: Console):
        self._console = console
        self._live: Live | None = None
        self._started = time.monotonic()
        self._last_line = 0.0

    @contextmanager
    def running(self) -> Iterator["Display"]:
        self._started = time.monotonic()
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, transient=True, refresh_per_second=4) as self._live:
            yield self
        self._live = None

    def say(self, line: str) -> None:
        """One line of text that stays."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, progress: Progress, depth: QueueDepth | None) -> None:
        seconds = time.monotonic() - self._started
        if self._live is not None:
            self._live.update(_line_with_bar(progress, depth, seconds))
        elif seconds - self._last_line >= QUIET_SECONDS:
            self._last_line = seconds
            self.say(as_text(progress, depth, seconds))


def as_text(progress: Progress, depth: QueueDepth | None, seconds: float) -> str:
    """Such as `12 s  34/200 users  56 pages  789 records  1 retried  20 queued  0 dead letters  2 parked`."""
    facts = [
        f"{seconds:.0f} s",
        f"{progress.users_done:,}/{progress.users:,} users",
        f"{progress.pages:,} pages",
        f"{progress.records:,} records",
        f"{progress.retries:,} retried",
    ]
    if depth is not None:
        facts += [f"{depth.waiting:,} queued", f"{depth.dead:,} dead letters"]
    facts.append(f"{progress.parked:,} parked")
    if progress.undelivered:
        facts.append(f"{progress.undelivered:,} to deliver")
    return "  ".join(facts)


def _line_with_bar(progress: Progress, depth: QueueDepth | None, seconds: float) -> Table:
    line = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(1, progress.users), completed=progress.users_done, width=BAR_WIDTH)
    line.add_row(bar, Text(as_text(progress, depth, seconds)))
    return line

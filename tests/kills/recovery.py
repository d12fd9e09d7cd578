"""How long it takes from a kill until each run that was held goes on. Pure."""

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from shared.checkpoint import Checkpoint
from tests.kills.plan import Member

FAILED = re.compile(r"function mine\w* failed: the worker process ended \(message mine/([^/]+)/[^/]+/(\d+)/\d+\)")
"""How the local host's log names a message whose worker ended."""


def held_by(log: str) -> dict[str, int]:
    """Run → page that workers which ended had in hand, out of the host's log."""
    return {run: int(seq) for run, seq in FAILED.findall(log)}


@dataclass
class Recovery:
    """`seconds` by the member that was killed, one for each run that was held."""

    seconds: dict[Member, list[float]] = field(default_factory=dict)
    _waiting: dict[str, tuple[Member, datetime, int]] = field(default_factory=dict)

    def hit(self, member: Member, at: datetime, held: dict[str, int]) -> None:
        """`held` names the page that each run was at; a run that waits already has waited since then."""
        for run, seq in held.items():
            self._waiting.setdefault(run, (member, at, seq))

    def seen(self, checkpoints: Iterable[Checkpoint]) -> None:
        """A run goes on when its page is committed, or its failure is written down as the source's, or it is parked."""
        for checkpoint in checkpoints:
            member, since, seq = self._waiting.get(checkpoint.run, (None, None, 0))
            written = checkpoint.updated_at
            if member is None or since is None or written is None or written < since:
                continue
            if checkpoint.next_seq > seq or not checkpoint.is_open or checkpoint.failures:
                del self._waiting[checkpoint.run]
                self.seconds.setdefault(member, []).append((written - since).total_seconds())

    def forget(self) -> None:
        """Everything has ended; nobody waits any more."""
        self._waiting.clear()


def summary(seconds: list[float]) -> str:
    """Median and 99th percentile, in words."""
    if len(seconds) < 2:
        return f"{len(seconds)} runs"
    centiles = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{len(seconds)} runs, median {statistics.median(seconds):.1f} s, p99 {centiles[98]:.1f} s"

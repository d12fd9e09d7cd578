"""When to try again what failed. Pure: a table holds the policy, a function decides."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import ErrorKind
from shared.pipeline.spec import ErrorPolicy


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait `first` seconds, then `factor` times as long each time, at most `cap`; give up after `times`."""

    first: float
    factor: float
    cap: float
    times: int


POLICY: dict[ErrorKind, Retry] = {
    ErrorKind.RATE_LIMITED: Retry(first=2, factor=2, cap=900, times=50),
    ErrorKind.TEMPORARY: Retry(first=1, factor=2, cap=300, times=12),
    ErrorKind.MALFORMED: Retry(first=1, factor=3, cap=300, times=6),
}
"""Kinds that are not here are not tried again: the same request would fail again."""


def next_wait(
    kind: ErrorKind,
    failures: int,
    asked: float | None,
    random: Callable[[], float],
    wanted: ErrorPolicy | None = None,
) -> float | None:
    """Seconds until the next try after `failures` earlier ones in a row, or None: give up.

    `asked` is what the source itself wants and is never undercut; jitter on top keeps users apart. `wanted` is what
    the pipeline file says where it says anything about retries.
    """
    policy = POLICY.get(kind)
    if policy is None:
        return None
    times = policy.times if wanted is None or wanted.max_retries is None else wanted.max_retries
    if failures >= times:
        return None
    if asked is not None:
        return asked + random() * min(1.0, 0.1 * asked)
    if wanted is not None and kind is not ErrorKind.RATE_LIMITED and wanted != ErrorPolicy(mode=wanted.mode):
        return _wanted_wait(wanted, failures, random)
    return min(policy.cap, policy.first * policy.factor**failures) * (0.5 + random() / 2)


def _wanted_wait(wanted: ErrorPolicy, failures: int, random: Callable[[], float]) -> float:
    first, cap = wanted.first.total_seconds(), wanted.cap.total_seconds()
    growth = {"exponential": 2.0 ** min(failures, 60), "linear": failures + 1, "fixed": 1}[wanted.backoff]
    return min(cap, first * growth) * (0.5 + random() / 2 if wanted.jitter else 1)

"""When to try again what failed. Pure: a table holds the policy, a function decides."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import ErrorKind


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


def next_wait(kind: ErrorKind, failures: int, asked: float | None, random: Callable[[], float]) -> float | None:
    """Seconds until the next try after `failures` earlier ones in a row, or None: give up.

    `asked` is what the source itself wants and is never undercut; full jitter on top keeps users apart.
    """
    policy = POLICY.get(kind)
    if policy is None or failures >= policy.times:
        return None
    backoff = min(policy.cap, policy.first * policy.factor**failures)
    if asked is not None:
        return asked + random() * min(1.0, 0.1 * asked)
    return backoff * (0.5 + random() / 2)

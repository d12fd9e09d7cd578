"""How long it takes from a kill until each run that was held goes on: read out of the log of the host. Pure.

With --verbose the host says which message a function begins with and how that ended; its workers say in the same file
what they committed. What has begun and has not ended was held by whoever was killed.
"""

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.kills.plan import Member

MESSAGE = r"\(message mine/(?P<run>[^/]+)/[^/]+/\d+/\d+\)"
BEGINS = re.compile(rf"host: function mine\w* begins {MESSAGE}")
ENDS = re.compile(rf"host: function mine\w* (?:succeeded|failed).* {MESSAGE}")
WORKER_ENDED = re.compile(rf"host: function mine\w* failed: the worker process ended {MESSAGE}")
HOST_STARTED = "host: ready: "
PROGRESS = frozenset({"committed", "parked"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log and when it was seen, in seconds of the monotonic clock."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Strike:
    """`begin` and `end` are how many lines there were when it was struck and when that was over."""

    member: Member
    at: float
    begin: int
    end: int


def held(strike: Strike, lines: Sequence[Line]) -> set[str]:
    """The runs whose page was being mined: by the workers that were killed, or by any where something else was."""
    if strike.member in {Member.WORKER, Member.WORKERS}:
        ended = map(WORKER_ENDED.search, (line.text for line in lines[strike.begin : strike.end]))
        return {found["run"] for found in ended if found}
    return under_way(lines[: strike.begin])


def under_way(lines: Iterable[Line]) -> set[str]:
    """The runs of which a page has begun and has not ended. A host that starts begins with nothing."""
    running: Counter[str] = Counter()
    for line in lines:
        if HOST_STARTED in line.text:
            running.clear()
        elif found := BEGINS.search(line.text):
            running[found["run"]] += 1
        elif found := ENDS.search(line.text):
            running[found["run"]] -= 1
    return {run for run, times in running.items() if times > 0}


def recoveries(strike: Strike, lines: Sequence[Line]) -> list[float]:
    """Seconds from the strike to the next commit of each run that was held; none for one that was at its end."""
    waiting = held(strike, lines)
    seconds = []
    for line in lines[strike.begin :]:
        if (run := advanced(line.text)) in waiting:
            waiting.remove(run)
            seconds.append(line.at - strike.at)
    return seconds


def advanced(text: str) -> str | None:
    """The run of which a line of a worker says that a page was committed, or that it was parked."""
    if not text.startswith('{"function": "mine"'):
        return None
    try:
        said = json.loads(text)
    except ValueError:  # cut off by a kill
        return None
    return said.get("run") if said.get("what") in PROGRESS else None


def summary(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and the longest, in words."""
    if len(seconds) < 2:
        return f"{len(seconds)} runs"
    centiles = statistics.quantiles(seconds, n=100, method="inclusive")
    median, p99 = statistics.median(seconds), centiles[98]
    return f"{len(seconds)} runs, median {median:.1f} s, p99 {p99:.1f} s, longest {max(seconds):.1f} s"

"""The kills and the outages, one after the other, on a stack that mines all the while."""

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devtools.cli.demo import Verdict
from devtools.places import CACHE
from devtools.stand_ins import data_folder
from tests.kills.job import Job, job_of, lay_pipelines
from tests.kills.outages import OUTAGES, disk_full, own_disk
from tests.kills.plan import Blow, Member, blows
from tests.kills.recovery import Line, Strike, recoveries, summary
from tests.kills.stack import Stack

USERS = 60
PAGES_SCALE = 3.0
LATENCY_MS = 20.0
ON_ONE_STACK = 20
"""Kills; then other data is mined, because what has been mined is only recognised the second time, and not written."""

EVIDENCE = CACHE / "kills"
"""Keeps the log of the host and the output of what went wrong, by seed."""

Say = Callable[[str], None]


@dataclass
class Report:
    """`verdict` compares the output with the API's own truth; `recovery` has the seconds of each run that was held."""

    seed: int
    verdict: Verdict
    pages: int
    seconds: float
    hits: Counter[str] = field(default_factory=Counter)
    recovery: dict[Member, list[float]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        told = ", ".join(f"{count} × {name}" for name, count in self.hits.items())
        return [
            f"seed {self.seed}: {self.hits.total()} in {self.seconds:.0f} s ({told}), {self.pages:,} pages",
            str(self.verdict.comparison),
            *(f"ended wrongly: {each}" for each in self.verdict.wrongly_ended),
        ]


def kill_test(count: int, seed: int, lock: int, say: Say) -> list[Report]:
    """So many kills, on one stack with a seed of its own after the other.

    `lock` is how many seconds the broker locks a message. Raises AssertionError where runs do not end.
    """
    reports: list[Report] = []
    left = blows(seed, count)
    while left:
        reports.append(_kill_some(left[:ON_ONE_STACK], seed + len(reports), lock, say))
        left = left[reports[-1].hits.total() :]
    return reports


def total(reports: Iterable[Report]) -> Counter[str]:
    """How often each member was hit."""
    return sum((each.hits for each in reports), Counter[str]())


def recovered(reports: Iterable[Report]) -> list[str]:
    """A line for each member."""
    found: dict[Member, list[float]] = {}
    for each in reports:
        for member, seconds in each.recovery.items():
            found.setdefault(member, []).extend(seconds)
    return [f"recovery after {member}: {summary(seconds)}" for member, seconds in found.items()]


def outage_test(seconds: float, seed: int, say: Say) -> Report:
    """Every outage once, each for so many seconds."""
    with data_folder.temporary() as folder:
        stack = _stack(folder, seed, lock=30, scale=max(PAGES_SCALE, seconds / 3))
        with own_disk(stack.output) as mounted, stack.running(), _evidence(stack, seed):
            return asyncio.run(_outages(stack, seconds, seed, mounted, say))


def _kill_some(chosen: list[Blow], seed: int, lock: int, say: Say) -> Report:
    with data_folder.temporary() as folder:
        stack = _stack(folder, seed, lock, PAGES_SCALE)
        with stack.running(), _evidence(stack, seed):
            return asyncio.run(_kills(stack, chosen, seed, say))


async def _kills(stack: Stack, chosen: list[Blow], seed: int, say: Say) -> Report:
    """As many of the blows as fall before everything is mined."""
    rng, started, strikes = random.Random(seed), time.monotonic(), []
    async with job_of(stack, USERS, seed) as job:
        await job.begin()
        for number, blow in enumerate(chosen, 1):
            if not await _until_committed(job, blow.pages):
                break
            say(f"seed {seed}, {number} of {len(chosen)}: {blow.member} (page {job.pages})")
            strikes.append(await _strike(job, blow, rng))
        await job.finish()
    hits = Counter(str(each.member) for each in strikes)
    verdict = _judged(job, stack, seed)
    return Report(seed, verdict, job.pages, time.monotonic() - started, hits, _recovery(strikes, stack.host_log.lines))


async def _strike(job: Job, blow: Blow, rng: random.Random) -> Strike:
    begin, at = job.stack.host_log.catch_up(), time.monotonic()
    await asyncio.to_thread(job.stack.hit, blow.member, rng)
    return Strike(blow.member, at, begin, job.stack.host_log.catch_up())


def _recovery(strikes: list[Strike], lines: list[Line]) -> dict[Member, list[float]]:
    found: dict[Member, list[float]] = {}
    for strike in strikes:
        found.setdefault(strike.member, []).extend(recoveries(strike, lines))
    return found


async def _until_committed(job: Job, pages: int) -> bool:
    """So many pages further, or half of it where that takes long; False where everything has ended."""
    target = job.pages + pages
    while not await job.until(lambda progress: progress.finished or job.pages >= target, seconds=30):
        if job.pages >= target - pages // 2:
            return True
    return job.pages >= target


async def _outages(stack: Stack, seconds: float, seed: int, mounted: bool, say: Say) -> Report:
    started, hits = time.monotonic(), Counter[str]()
    async with job_of(stack, USERS, seed) as job:
        await job.begin()
        for name, outage in OUTAGES.items():
            if outage is disk_full and not mounted:
                say(f"{name}: left out, because this machine lets nobody mount a disk of its own")
                continue
            assert await _until_committed(job, 15), f"everything was mined before {name}"
            say(f"{name} (page {job.pages})")
            await outage(job, seconds)
            hits[name] += 1
        await job.finish()
    return Report(seed, _judged(job, stack, seed), job.pages, time.monotonic() - started, hits)


def _judged(job: Job, stack: Stack, seed: int) -> Verdict:
    verdict = job.verdict()
    if not verdict.clean:
        _keep(stack, EVIDENCE / f"seed-{seed}")
    return verdict


@contextmanager
def _evidence(stack: Stack, seed: int) -> Iterator[None]:
    """What breaks off is kept as well."""
    try:
        yield
    except BaseException:
        _keep(stack, EVIDENCE / f"seed-{seed}")
        raise


def _keep(stack: Stack, place: Path) -> None:
    """The log of all hosts there were, with seconds in front, the other logs, and the output."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(stack.folder.path / "logs", place)
    shutil.copytree(stack.output, place / "output")
    stack.host_log.catch_up()
    (place / "hosts.log").write_text("".join(f"{line.at:.2f} {line.text}\n" for line in stack.host_log.lines))


def _stack(folder: data_folder.DataFolder, seed: int, lock: int, scale: float) -> Stack:
    options = ("--users", str(USERS), "--seed", str(seed), "--faults", "default")
    options += ("--pages-scale", str(scale), "--latency-ms", str(LATENCY_MS))
    stack = Stack(folder, options, folder.path / "pipelines", folder.path / "output" / "records", lock)
    lay_pipelines(stack)
    return stack

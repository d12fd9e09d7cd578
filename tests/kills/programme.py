"""The kills and the outages, one after the other, on a stack that mines all the while."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from devtools.cli.demo import Verdict
from devtools.stand_ins import data_folder
from tests.kills.job import Job, job_of, lay_pipelines
from tests.kills.outages import OUTAGES, disk_full, small_disk
from tests.kills.plan import Blow, Member, blows
from tests.kills.recovery import Recovery, held_by, summary
from tests.kills.stack import Stack

USERS = 60
PAGES_SCALE = 2.0
LATENCY_MS = 20.0

Say = Callable[[str], None]


@dataclass
class Report:
    """`verdict` compares the output with the API's own truth."""

    verdict: Verdict
    rounds: int
    pages: int
    seconds: float
    recovery: Recovery
    hits: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        told = [f"{count} × {name}" for name, count in self.hits.items()]
        return [
            f"{sum(self.hits.values())} in {self.seconds:.0f} s: {', '.join(told)}",
            f"{self.pages:,} pages seen in {self.rounds} rounds",
            *(f"recovery after {member}: {summary(seconds)}" for member, seconds in self.recovery.seconds.items()),
            str(self.verdict.comparison),
            *(f"ended wrongly: {each}" for each in self.verdict.wrongly_ended),
        ]


def kill_test(count: int, seed: int, say: Say) -> Report:
    """So many kills, each at a moment that the seed chooses. Raises AssertionError where a round does not end."""
    with data_folder.temporary() as folder:
        stack = _stack(folder, seed)
        with stack.running():
            return asyncio.run(_kills(stack, count, seed, say))


def outage_test(seconds: float, seed: int, say: Say) -> Report:
    """Every outage once, each for so many seconds."""
    with data_folder.temporary() as folder:
        stack = _stack(folder, seed)
        with small_disk(stack.output) as mounted, stack.running():
            return asyncio.run(_outages(stack, seconds, seed, mounted, say))


async def _kills(stack: Stack, count: int, seed: int, say: Say) -> Report:
    rng, started, hits = random.Random(seed), time.monotonic(), Counter[str]()
    async with job_of(stack, USERS, seed) as job:
        await job.begin_round()
        for number, blow in enumerate(blows(seed, count), 1):
            await _until_committed(job, blow.pages)
            say(f"{number:4} of {count}: {blow.member} (page {job.pages})")
            await _strike(job, blow, rng)
            hits[blow.member] += 1
        await job.finish()
        return Report(job.verdict(), job.rounds, job.pages, time.monotonic() - started, job.recovery, hits)


async def _strike(job: Job, blow: Blow, rng: random.Random) -> None:
    """Hit, and note which runs were held: by its workers, as the host says; by a host itself, whatever was open."""
    at, said, open_runs = datetime.now(UTC), len(job.stack.log()), job.open_runs()
    await asyncio.to_thread(job.stack.hit, blow.member, rng)
    if blow.member in {Member.WORKER, Member.WORKERS}:
        job.recovery.hit(blow.member, at, held_by(job.stack.log()[said:]))
    elif blow.member is Member.HOST:
        job.recovery.hit(blow.member, at, open_runs)


async def _until_committed(job: Job, pages: int) -> None:
    """So many pages further; where a round is over, another one begins."""
    target = job.pages + pages
    while not await job.until(lambda progress: progress.finished or job.pages >= target, seconds=30):
        if job.pages >= target - pages // 2:
            return
    if job.pages < target:
        job.recovery.forget()
        await job.begin_round()


async def _outages(stack: Stack, seconds: float, seed: int, mounted: bool, say: Say) -> Report:
    started, hits = time.monotonic(), Counter[str]()
    async with job_of(stack, USERS, seed) as job:
        await job.begin_round()
        for name, outage in OUTAGES.items():
            if outage is disk_full and not mounted:
                say(f"{name}: left out, because this machine lets nobody mount a small disk")
                continue
            await _until_committed(job, 15)
            say(f"{name} (page {job.pages})")
            await outage(job, seconds)
            hits[name] += 1
        await job.finish()
        return Report(job.verdict(), job.rounds, job.pages, time.monotonic() - started, job.recovery, hits)


def _stack(folder: data_folder.DataFolder, seed: int) -> Stack:
    options = ("--users", str(USERS), "--seed", str(seed), "--faults", "default")
    options += ("--pages-scale", str(PAGES_SCALE), "--latency-ms", str(LATENCY_MS))
    stack = Stack(folder, options, folder.path / "pipelines", folder.path / "output" / "records")
    lay_pipelines(stack)
    return stack

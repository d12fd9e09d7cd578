"""Timer triggers, on a clock that only a sleep or a function's run moves."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.local_host.ncrontab import parse_schedule
from devtools.local_host.timers import ScheduleMonitor, Timer
from devtools.local_host.trigger_data import TriggerData

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Enough(Exception):
    """Ends an endless timer after the runs a test wants."""


class World:
    """A clock and a function that takes `seconds`; remembers when it ran and what it was told."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.now = NOON
        self.seconds = seconds
        self.runs: list[tuple[datetime, dict[str, Any]]] = []
        self.wanted = 0

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def function(self, data: TriggerData) -> None:
        self.runs.append((self.now, json.loads(data.body)))
        self.now += timedelta(seconds=self.seconds)

    def clock(self) -> datetime:
        """Looked at before each sleep and each run: the place where a test ends the endless timer."""
        if len(self.runs) >= self.wanted:
            raise Enough
        return self.now

    def times(self) -> list[float]:
        return [(moment - NOON).total_seconds() for moment, _ in self.runs]


async def fire(world: World, wanted: int, file: Path | None = None, on_startup: bool = False) -> None:
    """Run a timer of every minute until its function has run `wanted` times."""
    world.wanted = wanted
    schedule = parse_schedule("0 * * * * *", NOON)
    timer = Timer("tick", schedule, world.function, ScheduleMonitor(file), on_startup, world.clock, world.sleep)
    with pytest.raises(Enough):
        await timer.run()


async def test_it_fires_at_each_occurrence():
    world = World()
    await fire(world, 3)
    assert world.times() == [60, 120, 180]
    assert [told["IsPastDue"] for _, told in world.runs] == [False] * 3


async def test_a_run_that_takes_longer_is_followed_by_one_run_at_once():
    """Never two at once, and not one run for each occurrence that was missed."""
    world = World(seconds=150)
    await fire(world, 3)
    assert world.times() == [60, 210, 360]


async def test_run_on_startup_runs_at_once_and_then_as_scheduled():
    world = World()
    await fire(world, 2, on_startup=True)
    assert world.times() == [0, 60]


async def test_an_occurrence_missed_while_the_host_was_down_runs_at_once_and_is_past_due(tmp_path: Path):
    file = tmp_path / "timers.json"
    await fire(World(), 1, file)
    later = World()
    later.now = NOON + timedelta(minutes=10, seconds=30)
    # The last status is written after the run, so one more is wanted than is looked at.
    await fire(later, 2, file)
    assert later.times()[:2] == [630, 660]
    assert [told["IsPastDue"] for _, told in later.runs[:2]] == [True, False]


async def test_a_status_file_that_cannot_be_read_is_no_obstacle(tmp_path: Path):
    file = tmp_path / "timers.json"
    file.write_text("{")
    world = World()
    await fire(world, 1, file)
    assert world.times() == [60]


async def test_the_function_is_told_last_and_next():
    world = World()
    await fire(world, 2)
    _, told = world.runs[1]
    assert told["ScheduleStatus"]["Last"] == "2026-11-22T12:01:00+00:00"
    assert told["ScheduleStatus"]["Next"] == "2026-11-22T12:02:00+00:00"


async def test_it_can_be_cancelled_while_it_waits():
    timer = Timer("tick", parse_schedule("0 0 0 1 1 *", NOON), World().function, ScheduleMonitor(None))
    task = asyncio.create_task(timer.run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""How long messages wait: told by those who take them out, and only where that is long."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.backlog_table import EVERY, NOTEWORTHY, BacklogTable
from tests.fakes.memory_tables import MemoryTable
from tests.unit.shared.adapters.conftest import Seconds

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG = timedelta(minutes=7)
A_MINUTE_AGO = NOW - timedelta(minutes=1)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


async def test_other_instances_know_how_long_messages_wait_in_each_queue(table: MemoryTable, clock: Seconds):
    backlog = BacklogTable(table, clock)
    await backlog.note("mine", NOW - LONG, NOW)
    await backlog.note("deliver", NOW - 2 * LONG, NOW)
    assert await BacklogTable(table, clock).waits(A_MINUTE_AGO) == {"mine": LONG, "deliver": 2 * LONG}


async def test_what_was_told_before_is_over(table: MemoryTable, clock: Seconds):
    backlog = BacklogTable(table, clock)
    await backlog.note("mine", NOW - LONG, NOW)
    assert await backlog.waits(NOW) == {}


async def test_nothing_is_written_while_queues_are_short(table: MemoryTable, clock: Seconds):
    backlog = BacklogTable(table, clock)
    await backlog.note("mine", NOW - NOTEWORTHY / 2, NOW)
    await backlog.note("mine", None, NOW)
    assert not table.rows


async def test_a_process_tells_of_a_queue_once_in_a_while(table: MemoryTable, clock: Seconds):
    backlog = BacklogTable(table, clock)
    await backlog.note("mine", NOW - LONG, NOW)
    await backlog.note("mine", NOW - 2 * LONG, NOW)
    assert await backlog.waits(A_MINUTE_AGO) == {"mine": LONG}
    clock.now += EVERY
    await backlog.note("mine", NOW - 2 * LONG, NOW)
    assert await backlog.waits(A_MINUTE_AGO) == {"mine": 2 * LONG}


async def test_storage_that_is_away_stops_nobody(table: MemoryTable, clock: Seconds):
    backlog = BacklogTable(table, clock)
    table.cut_off(0, answered=True)
    await backlog.note("mine", NOW - LONG, NOW)
    table.mend()
    assert await backlog.waits(A_MINUTE_AGO) == {}

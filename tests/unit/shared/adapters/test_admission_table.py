"""How much may start: looked at every few seconds, whatever the clock does."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.admission_table import FRESH, AdmissionTable
from shared.messages import StreamKey
from tests.fakes.memory_broker import Clock
from tests.fakes.memory_tables import MemoryTable

KEY = StreamKey("social", "posts", "ann")


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


async def test_everybody_is_admitted_where_nobody_has_said_anything(table: MemoryTable, clock: Clock):
    admission = AdmissionTable(table, clock.now)
    assert await admission.percent() == 100
    assert await admission.admits(KEY)


async def test_another_instance_sees_a_stop_as_soon_as_what_it_knows_is_not_fresh(table: MemoryTable, clock: Clock):
    admission = AdmissionTable(table, clock.now)
    assert await admission.admits(KEY)
    await AdmissionTable(table, clock.now).set(0)
    assert await admission.admits(KEY)
    clock.moment += FRESH
    assert not await admission.admits(KEY)


async def test_a_clock_that_is_set_back_does_not_keep_it_from_looking(table: MemoryTable, clock: Clock):
    """Else a stop would take effect only when the clock has caught up."""
    admission = AdmissionTable(table, clock.now)
    assert await admission.admits(KEY)
    await AdmissionTable(table, clock.now).set(0)
    clock.moment -= timedelta(minutes=5)
    assert not await admission.admits(KEY)


async def test_a_share_of_the_streams_is_admitted_always_the_same(table: MemoryTable, clock: Clock):
    admission = AdmissionTable(table, clock.now)
    await admission.set(40)
    keys = [StreamKey("social", "posts", f"user{number}") for number in range(1000)]
    first = [await admission.admits(key) for key in keys]
    assert 350 < sum(first) < 450
    assert first == [await admission.admits(key) for key in keys]

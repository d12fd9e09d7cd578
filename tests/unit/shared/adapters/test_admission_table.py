"""How much may start: looked at every few seconds."""

import pytest

from shared.adapters.admission_table import FRESH, AdmissionTable
from shared.messages import StreamKey
from tests.fakes.memory_tables import MemoryTable
from tests.unit.shared.adapters.conftest import Seconds

KEY = StreamKey("social", "posts", "ann")


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


async def test_everybody_is_admitted_where_nobody_has_said_anything(table: MemoryTable, clock: Seconds):
    admission = AdmissionTable(table, clock)
    assert await admission.percent() == 100
    assert await admission.admits(KEY)


async def test_another_instance_sees_a_stop_as_soon_as_what_it_knows_is_not_fresh(table: MemoryTable, clock: Seconds):
    admission = AdmissionTable(table, clock)
    assert await admission.admits(KEY)
    await AdmissionTable(table, clock).set(0)
    assert await admission.admits(KEY)
    clock.now += FRESH
    assert not await admission.admits(KEY)


async def test_a_share_of_the_streams_is_admitted_always_the_same(table: MemoryTable, clock: Seconds):
    admission = AdmissionTable(table, clock)
    await admission.set(40)
    keys = [StreamKey("social", "posts", f"user{number}") for number in range(1000)]
    first = [await admission.admits(key) for key in keys]
    assert 350 < sum(first) < 450
    assert first == [await admission.admits(key) for key in keys]

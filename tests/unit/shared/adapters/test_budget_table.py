"""Budgets in a table: requests that ask together share a write, instances never write over each other."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.budget_table import FRESH, BudgetName, BudgetTable
from shared.adapters.tables import Row
from shared.errors import Conflict, StorageUnavailable
from shared.pipeline.breakers import FAILURES
from shared.pipeline.budgets import Answer, Ask, Lane
from tests.fakes.memory_tables import MemoryTable

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
APP = BudgetName("social")
LANE = Lane("10 in 60s", 10, 60.0)


class SlowTable(MemoryTable):
    """Others come in between a read or write and its answer; `writes` counts, `away` fails."""

    writes = 0
    away = False

    async def replace(self, row: Row) -> str:
        return await self._slowly(super().replace(row))

    async def insert(self, row: Row) -> str:
        return await self._slowly(super().insert(row))

    async def _slowly(self, write) -> str:
        self.writes += 1
        for _ in range(5):
            await asyncio.sleep(0)
        if self.away:
            write.close()
            raise StorageUnavailable("away")
        return await write


class Instance:
    """One process of several that share a table; `time` is its monotonic clock."""

    def __init__(self, table: MemoryTable):
        self.time = 0.0
        self.budgets = BudgetTable(table, lambda: 0.5, lambda: self.time, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def ask(self, *lanes: Lane, lease: str = "a", at: datetime = NOON) -> Answer:
        return await self.budgets.ask(APP, Ask(lanes, {}, lease, at.timestamp() + 60), at)


async def test_requests_that_ask_together_share_a_write():
    table = SlowTable()
    instance = Instance(table)
    answers = await asyncio.gather(*(instance.ask(LANE) for _ in range(8)))
    assert [answer.at for answer in answers] == [None] * 8
    assert table.writes == 2


async def test_instances_never_give_away_more_than_there_is():
    table = SlowTable()
    instances = [Instance(table) for _ in range(4)]
    answers = await asyncio.gather(*(instance.ask(LANE) for instance in instances for _ in range(5)))
    assert sum(answer.at is None for answer in answers) == 10


async def test_a_failed_write_is_told_to_everybody_who_waited_for_it():
    table = SlowTable()
    table.away = True
    instance = Instance(table)
    answers = await asyncio.gather(*(instance.ask(LANE) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StorageUnavailable] * 3
    table.away = False
    assert (await instance.ask(LANE)).at is None


async def test_too_many_at_once_is_a_conflict():
    class Contended(MemoryTable):
        async def insert(self, row: Row) -> str:
            raise Conflict("somebody else")

    with pytest.raises(Conflict):
        await Instance(Contended()).ask(LANE)


async def test_without_limits_nothing_is_written_and_hardly_anything_read():
    table = MemoryTable()
    reads = []
    get = table.get

    async def counted(partition: str, key: str) -> Row | None:
        reads.append(key)
        return await get(partition, key)

    table.get = counted
    instance = Instance(table)
    for _ in range(50):
        assert (await instance.ask()).at is None
    assert (len(reads), len(table.rows)) == (1, 0)


async def test_a_block_is_seen_by_every_instance_within_seconds():
    table = MemoryTable()
    one, other = Instance(table), Instance(table)
    await other.ask()
    await one.budgets.block(APP, NOON + timedelta(minutes=5))
    assert (await one.ask()).at == (NOON + timedelta(minutes=5)).timestamp()
    other.time += FRESH
    assert (await other.ask()).at == (NOON + timedelta(minutes=5)).timestamp()


async def test_failures_in_a_row_open_the_breaker_for_everybody_and_one_tries_it_again():
    table = MemoryTable()
    one, other = Instance(table), Instance(table)
    for _ in range(FAILURES):
        assert (await one.ask()).at is None
        await one.budgets.failed(APP, NOON)
    assert (await other.ask()).at is not None
    later = NOON + timedelta(minutes=1)
    for instance in (one, other):
        instance.time += FRESH
    first, second = await asyncio.gather(one.ask(lease="a", at=later), other.ask(lease="b", at=later))
    assert sorted([first.at is None, second.at is None]) == [False, True]


async def test_a_success_between_failures_keeps_the_breaker_closed():
    table = MemoryTable()
    instance = Instance(table)
    for _ in range(3 * FAILURES):
        await instance.budgets.failed(APP, NOON)
        await instance.budgets.succeeded(APP)
    assert not table.rows


async def test_a_success_closes_the_breaker_for_everybody():
    table = MemoryTable()
    one, other = Instance(table), Instance(table)
    for _ in range(FAILURES):
        await one.budgets.failed(APP, NOON)
    assert (await one.ask(at=NOON + timedelta(minutes=1))).at is None
    await one.budgets.succeeded(APP)
    assert (await other.ask(at=NOON + timedelta(minutes=1))).at is None


async def test_an_app_and_each_of_its_users_have_budgets_of_their_own():
    names = {
        BudgetName("social").partition,
        BudgetName("social", "ann").partition,
        BudgetName("social", "ben").partition,
    }
    assert len(names) == 3

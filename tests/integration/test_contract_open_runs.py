"""The index of open runs and what is told of queues, on a fake table and on Azurite."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.backlog_table import BacklogTable
from shared.adapters.open_run_table import PARTITIONS, OpenRun, OpenRunTable
from shared.adapters.tables import Table
from shared.errors import Conflict
from shared.messages import StreamKey

pytestmark = pytest.mark.stand_ins

NOW = datetime(2026, 11, 22, 12, 0, 30, 123456, tzinfo=UTC)
KEY = StreamKey("social", "posts", "änn/1#?\\😀")


async def test_open_runs_are_told_once_each_from_any_partition_on(table: Table):
    open_runs = OpenRunTable(table)
    for number in range(60):
        await open_runs.add(OpenRun(replace(KEY, user=f"user{number}"), "run1", NOW))
    first, *others = [[each.key.user async for each in open_runs.all(first)] for first in range(PARTITIONS + 1)]
    assert len(first) == 60
    assert all(sorted(other) == sorted(first) for other in others)
    assert len({other[0] for other in others}) == PARTITIONS
    assert others[-1] == first


async def test_open_runs_are_removed_by_version(table: Table):
    open_runs = OpenRunTable(table)
    run = OpenRun(KEY, "run1", NOW)
    await open_runs.add(run)
    (read,) = [each async for each in open_runs.all()]
    assert read == run
    await open_runs.add(replace(run, run="run2"))
    with pytest.raises(Conflict):
        await open_runs.remove(read)
    (newer,) = [each async for each in open_runs.all()]
    await open_runs.remove(newer)
    assert [each async for each in open_runs.all()] == []


async def test_what_is_told_of_a_queue_comes_back(table: Table):
    backlog = BacklogTable(table)
    await backlog.note("mine-high", NOW - timedelta(seconds=61.5), NOW)
    assert await backlog.waits(NOW - timedelta(seconds=1)) == {"mine-high": timedelta(seconds=61.5)}
    assert await backlog.waits(NOW) == {}

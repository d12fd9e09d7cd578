"""Many rows of a dedupe index become few, and at every moment the checkpoint names one whole index."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from processors.dedupe import SeenCache
from processors.folding import fold_index
from processors.records import SeenKeys
from shared.errors import Conflict, StorageUnavailable
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import World

FOLDS = {"INDEX_ROWS": "1"}


def records(version: int = 0, count: int = 9) -> list[dict[str, Any]]:
    return [{"id": number, "version": version if number % 2 else 0} for number in range(count)]


async def mined(world: World) -> World:
    """A run, delivered; the reconciler has not looked yet."""
    await world.schedule()
    await world.run()
    return world


async def begun(settings: dict[str, str] = FOLDS) -> World:
    world = World(pages_of(records()), settings=settings)
    world.services = replace(world.services, random=Random(1).random)
    await world.add_user()
    return await mined(world)


async def another(world: World, version: int) -> World:
    world.later(hours=1)
    world.source.respond = pages_of(records(version))
    world.cache = SeenCache()  # another instance, which has to read the index
    return await mined(world)


async def held(world: World) -> SeenKeys:
    return dict((await SeenCache().seen(await world.checkpoint(), world.services.checkpoints)).keys.items())


def rows(world: World) -> list[str]:
    return sorted(key for _, key in world.streams.rows if key.startswith("seen|"))


async def test_the_rows_become_few_and_say_the_same():
    world = await begun()
    before, many = await held(world), rows(world)
    await world.reconcile()
    assert len(rows(world)) == 1 < len(many)
    assert await held(world) == before


async def test_what_is_outdated_is_gone():
    """Only the last content of a record is kept."""
    world = await begun()
    for version in (1, 2, 3):
        await another(world, version)
        await world.reconcile()
    assert len(await held(world)) == 9
    await another(world, 3)
    assert len(world.ids()) == 9 + 3 * 4


async def test_nothing_comes_out_twice_behind_a_folded_index():
    world = await begun()
    await world.reconcile()
    await another(world, 0)
    assert world.ids() == list(range(9))


@pytest.mark.parametrize("settings", [{}, {"INDEX_ROWS": "5"}])
async def test_an_index_of_few_rows_is_left_alone(settings: dict[str, str]):
    world = await begun(settings=settings)
    before = rows(world)
    await world.reconcile()
    assert rows(world) == before


async def test_what_a_run_found_and_what_it_learned_stay_apart():
    """A run that left slices out may be taken up again, and must know which records are its own."""
    world = await begun()
    await another(world, 1)
    before = await world.checkpoint()
    await world.reconcile()
    after = await world.checkpoint()
    assert (before.index_start, before.index_position) == (5, 9)
    assert (after.index_start, after.index_position) == (1, 2)


async def test_the_index_of_a_parked_run_is_left_alone():
    world = await begun()
    checkpoint = await world.checkpoint()
    await world.services.checkpoints.replace(checkpoint.parked(checkpoint.started_at, "rejected", None, ""))
    before = rows(world)
    await world.reconcile()
    assert rows(world) == before


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("writes", range(3))
async def test_cut_off_at_any_write_the_index_is_whole_and_the_next_time_folds_it(writes: int, answered: bool):
    world = await begun()
    before = await held(world)
    world.streams.cut_off(writes, answered=answered)
    with pytest.raises(StorageUnavailable):
        await fold_index(await world.checkpoint(), world.services)
    world.streams.mend()
    assert await held(world) == before
    await another(world, 1)
    await world.reconcile()
    assert {key.split("|")[1] for key in rows(world)} == {(await world.checkpoint()).index}
    assert len(world.ids()) == 9 + 4


async def test_a_run_that_begins_meanwhile_keeps_its_index():
    """What was folded for a checkpoint that is gone is not named, and goes with the next folding."""
    world = await begun()
    stale = await world.checkpoint()
    await another(world, 1)
    before = await held(world)
    with pytest.raises(Conflict):
        await fold_index(stale, world.services)
    assert await held(world) == before
    await world.reconcile()
    assert await held(world) == before
    assert {key.split("|")[1] for key in rows(world)} == {(await world.checkpoint()).index}

"""A parked run that goes on leaves nothing behind that says otherwise, and takes nothing away that is newer."""

import pytest

from shared.checkpoint import Checkpoint, RunState
from shared.errors import BrokerUnavailable
from shared.runs import park, resume
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import World


@pytest.fixture
async def world() -> World:
    world = World(pages_of([{"id": number} for number in range(6)]))
    await world.add_user()
    await world.schedule()
    await world.mine_page()
    return world


async def parked(world: World) -> Checkpoint:
    return await park(await world.checkpoint(), "temporary", None, "it failed", world.services)


async def shown(world: World) -> list[str]:
    return [each.error async for each in world.services.parked.all()]


async def test_what_was_shown_is_gone_when_the_run_goes_on(world: World):
    await resume(await parked(world), world.services)
    assert await shown(world) == []
    await world.run()
    assert world.ids() == list(range(6))


async def test_a_run_that_has_parked_again_stays_visible(world: World):
    """Whoever resumed it was held up before it came to remove what was shown then."""
    before = await parked(world)
    remove = world.services.parked.remove_version

    async def held_up(id_: str, version: str | None) -> None:
        running = await world.checkpoint()
        await park(running, "temporary", None, "it failed again", world.services)
        await remove(id_, version)

    object.__setattr__(world.services.parked, "remove_version", held_up)
    await resume(before, world.services)
    assert (await world.checkpoint()).state is RunState.PARKED
    assert await shown(world) == ["it failed again"]


async def test_a_resumption_that_is_cut_off_shows_rather_too_much(world: World):
    before = await parked(world)
    world.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await resume(before, world.services)
    assert (await world.checkpoint()).state is RunState.RUNNING
    assert await shown(world) == ["it failed"]

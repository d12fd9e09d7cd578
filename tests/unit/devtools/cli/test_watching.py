from dataclasses import replace

import pytest

from devtools.cli import watching
from devtools.cli.watching import Watch
from tests.fakes.scripted_source import answer, pages_of
from tests.fakes.world import KEY, START, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]


async def _asked_for(world: World) -> Watch:
    await world.add_user()
    await world.services.schedules.request(KEY.pipeline, KEY.stream, START)
    return Watch(world.services, [KEY], START)


async def _mine_without_delivering(world: World) -> None:
    while (delivered := world.broker.receive("mine")) is not None:
        await world.handle(delivered)


async def test_nothing_is_finished_before_the_scheduler_has_been_there():
    """No open run is no proof: none may have been started yet."""
    world = World(pages_of(RECORDS), settings={"SCHEDULES": "requested"})
    watch = await _asked_for(world)
    progress = await watch.look()
    assert not progress.finished
    assert progress.users_done == 0


async def test_an_open_run_is_not_finished():
    world = World(pages_of(RECORDS), settings={"SCHEDULES": "requested"})
    watch = await _asked_for(world)
    await world.schedule()
    progress = await watch.look()
    assert progress.runs_open == 1
    assert not progress.finished


async def test_an_ended_run_is_finished_only_when_all_of_it_is_in_the_output():
    world = World(pages_of(RECORDS), settings={"SCHEDULES": "requested"})
    watch = await _asked_for(world)
    await world.schedule()
    await _mine_without_delivering(world)
    mined = await watch.look()
    assert (mined.runs_open, mined.pages, mined.records, mined.undelivered) == (0, 3, 5, 1)
    assert not mined.finished
    await world.run()
    delivered = await watch.look()
    assert delivered.finished
    assert delivered.users_done == 1


async def test_looks_ask_of_some_runs_each_until_all_are_known(monkeypatch: pytest.MonkeyPatch):
    """One whose delivery hangs keeps nobody from being seen."""
    monkeypatch.setattr(watching, "MOST_ASKED", 2)
    world = World(pages_of(RECORDS), settings={"SCHEDULES": "requested"})
    keys = [replace(KEY, user=f"user{number}") for number in range(5)]
    for key in keys:
        await world.add_user(key.user)
    await world.services.schedules.request(KEY.pipeline, KEY.stream, START)
    watch = Watch(world.services, keys, START)
    await world.schedule()
    await _mine_without_delivering(world)
    for waiting in world.broker.ready[:]:
        if b"user0" in waiting[0].body:
            world.broker.ready.remove(waiting)
    await world.run()
    assert [(await watch.look()).undelivered for _ in range(4)] == [4, 2, 1, 1]
    await world.reconcile_now()
    await world.run()
    assert (await watch.look()).finished


async def test_a_parked_run_has_ended():
    """Waiting for somebody would be waiting for ever: it is listed instead."""
    world = World(lambda call: answer({}, 401), settings={"SCHEDULES": "requested"})
    watch = await _asked_for(world)
    await world.schedule()
    await world.run()
    progress = await watch.look()
    assert progress.parked == 1
    assert progress.finished


async def test_a_run_that_was_resumed_is_finished_only_when_its_further_pages_are_in_the_output():
    """It had been seen to the end when it was parked."""
    world = World(lambda call: answer({}, 404), settings={"SCHEDULES": "requested"})
    watch = await _asked_for(world)
    await world.schedule()
    await world.run()
    assert (await watch.look()).finished
    world.source.respond = pages_of(RECORDS)
    await world.resume()
    await _mine_without_delivering(world)
    progress = await watch.look()
    assert (progress.runs_open, progress.undelivered, progress.finished) == (0, 1, False)
    await world.run()
    assert (await watch.look()).finished


async def test_runs_of_others_are_not_looked_at():
    """The data directory may hold streams and users of an earlier call."""
    world = World(pages_of(RECORDS), settings={"SCHEDULES": "requested"})
    watch = await _asked_for(world)
    await world.add_user("bob", "token-of-bob")
    await world.schedule()
    assert (await watch.look()).runs_open == 1

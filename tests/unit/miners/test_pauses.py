"""A source that asks for a pause behind a page is left alone for so long, by that stream and user."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from shared.checkpoint import RunState
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, pages_of
from tests.fakes.world import KEY, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(9)]
PAUSE = timedelta(seconds=90)


def pausing(*users: str) -> tuple[World, list[tuple[str, datetime]]]:
    """A source that asks these users for a pause behind each page, and who was fetched for when."""
    fetched: list[tuple[str, datetime]] = []
    answered = pages_of(RECORDS)

    def respond(call: Call) -> Response:
        fetched.append((call.user, world.clock.now()))
        response = answered(call)
        return replace(response, headers={**response.headers, "backoff": "90"}) if call.user in users else response

    world = World(respond)
    return world, fetched


async def test_the_next_page_comes_after_the_pause_and_the_log_says_so():
    world, fetched = pausing("ann")
    await world.add_user()
    await world.schedule()
    outcome = await world.mine_page()
    assert (outcome.what, outcome.facts["seconds"]) == ("committed", 90)
    assert (await world.checkpoint()).not_before == world.clock.now() + PAUSE
    await world.run()
    moments = [moment for _, moment in fetched]
    assert [later - earlier for earlier, later in pairwise(moments)] == [PAUSE] * 4
    done = await world.checkpoint()
    assert (done.state, done.not_before, done.failures, done.retries) == (RunState.DONE, None, 0, 0)
    assert len(world.lines()) == len(RECORDS)


async def test_other_users_are_not_held_up():
    world, fetched = pausing("ann")
    await world.add_user()
    await world.add_user("ben", "token-of-ben")
    await world.schedule()
    began = world.clock.now()
    await world.run()
    assert {moment for user, moment in fetched if user == "ben"} == {began}
    assert len({moment for user, moment in fetched if user == "ann"}) == 5


async def test_a_pause_is_not_taken_for_a_lost_wake_up():
    world, _ = pausing("ann")
    await world.add_user()
    await world.schedule()
    await world.mine_page()
    world.later(seconds=200)
    assert (await world.reconcile()).facts == {"moving": 1}


async def test_a_wake_up_that_comes_before_its_time_waits_for_the_pause():
    world, fetched = pausing("ann")
    await world.add_user()
    await world.schedule()
    await world.mine_page()
    world.broker.ready = [(replace(message, at=None), *rest) for message, *rest in world.broker.ready]
    await world.run()
    assert fetched[1][1] - fetched[0][1] >= PAUSE
    assert len(world.lines()) == len(RECORDS)


async def test_a_page_of_the_last_run_does_not_hold_up_the_next():
    """Nobody knows whether the source still means it; the schedule is what spreads runs."""
    world, _ = pausing("ann")
    await world.add_user()
    await world.schedule()
    await world.run()
    world.later(hours=1)
    await world.schedule()
    assert (await world.checkpoint(KEY)).not_before is None

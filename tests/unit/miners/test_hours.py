"""Outside the hours of `off_peak` nothing is fetched and nobody is begun; inside everything goes on."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.checkpoint import RunState
from shared.pipeline.responses import Response
from shared.pipeline.turns import offset_of
from tests.fakes.scripted_source import Call, pages_of
from tests.fakes.world import KEY, PIPELINE, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
IN_BERLIN = '{ from: "14:00", until: "14:30", time_zone: Europe/Berlin }'
"""From 13:00 to 13:30 UTC; the world begins at 12:00:30."""

OPENING = datetime(2026, 11, 22, 13, tzinfo=UTC)
CLOSING = OPENING + timedelta(minutes=30)


def world_of(more: str = "", **settings: str) -> World:
    text = PIPELINE.replace("source:", f"off_peak: {IN_BERLIN}\n{more}source:", 1)
    return World(pages_of(RECORDS), text, settings)


def fetches(world: World, seconds: float = 3) -> list[datetime]:
    """The moments of all fetches from now on, each of which takes so long."""
    moments: list[datetime] = []
    answered = world.source.respond

    def respond(call: Call) -> Response:
        moments.append(world.clock.now())
        world.later(seconds=seconds)
        return answered(call)

    world.source.respond = respond
    return moments


async def test_what_is_due_outside_the_hours_begins_when_they_do():
    world = world_of()
    await world.add_user()
    assert (await world.schedule()).facts["started"] is None
    world.clock.pass_to(OPENING - timedelta(seconds=1))
    assert (await world.schedule()).facts["started"] is None
    world.clock.pass_to(OPENING + timedelta(seconds=1))
    assert (await world.schedule()).facts["started"] == 1
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]


async def test_a_run_that_is_not_through_when_they_end_goes_on_at_the_next_opening():
    """Nothing is fetched meanwhile, what was committed is delivered, and nothing is lost or comes twice."""
    world = world_of()
    await world.add_user()
    world.clock.pass_to(CLOSING - timedelta(seconds=5))
    await world.schedule()
    moments = fetches(world)
    await world.run()
    assert [moment < CLOSING for moment in moments] == [True, True, False]
    assert moments[2] == OPENING + timedelta(days=1)
    assert world.ids() == [0, 1, 2, 3, 4]
    assert (await world.checkpoint()).state is RunState.DONE


async def test_everybody_goes_on_in_their_turn():
    """A hundred runs that were cut off together do not all come with the opening."""
    world = world_of("stagger: 20m\n")
    await world.add_user()
    world.clock.pass_to(CLOSING - timedelta(seconds=1))
    await world.schedule()
    moments = fetches(world)
    await world.run()
    turn = OPENING + timedelta(days=1) + offset_of(KEY, timedelta(minutes=20))
    assert moments[0] == turn
    assert world.ids() == [0, 1, 2, 3, 4]


async def test_a_run_that_waits_for_the_opening_is_not_taken_for_lost():
    world = world_of()
    await world.add_user()
    world.clock.pass_to(CLOSING - timedelta(seconds=1))
    await world.schedule()
    world.later(seconds=2)
    assert (await world.mine_page()).what == "postponed"
    world.later(hours=20)
    assert (await world.reconcile()).facts == {"moving": 1}


async def test_a_wake_up_that_is_lost_before_the_opening_is_sent_again_after_it():
    world = world_of()
    await world.add_user()
    world.clock.pass_to(CLOSING - timedelta(seconds=1))
    await world.schedule()
    world.later(seconds=2)
    await world.mine_page()
    world.broker.ready.clear()
    world.clock.pass_to(OPENING + timedelta(days=1, minutes=3))
    assert (await world.reconcile()).facts == {"woken": 1}
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]


async def test_a_back_off_that_is_longer_than_the_time_to_the_opening_is_kept():
    world = world_of()
    await world.add_user()
    world.clock.pass_to(OPENING + timedelta(seconds=1))
    await world.schedule()
    asked = OPENING + timedelta(days=1, minutes=10)
    before = await world.checkpoint()
    await world.services.checkpoints.replace(before.postponed(world.clock.now(), asked))
    world.clock.pass_to(CLOSING)
    assert (await world.mine_page()).what == "resent"
    world.broker.ready = [(message, *rest) for message, *rest in world.broker.ready if message.at]
    moments = fetches(world)
    await world.run()
    assert moments[0] >= asked


@pytest.mark.parametrize("seconds", [0, 4000])
async def test_who_only_runs_what_was_asked_for_does_not_wait_for_an_hour(seconds: float):
    world = world_of(SCHEDULES="requested")
    await world.add_user()
    world.later(seconds=seconds)
    await world.services.schedules.request(KEY.pipeline, KEY.stream, world.clock.now())
    assert (await world.schedule()).facts["started"] == 1
    began = world.clock.now()
    moments = fetches(world, seconds=1)
    await world.run()
    assert moments == [began, began + timedelta(seconds=1), began + timedelta(seconds=2)]


async def test_a_stream_may_have_hours_of_its_own():
    own = '    off_peak: { from: "12:00", until: "12:30" }\n'
    world = World(pages_of(RECORDS), PIPELINE.replace("source:", f"off_peak: {IN_BERLIN}\nsource:", 1) + own)
    await world.add_user()
    assert (await world.schedule()).facts["started"] == 1

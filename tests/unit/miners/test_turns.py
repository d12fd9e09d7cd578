"""With a stagger everybody is begun when they are due, and comes in their turn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.checkpoint import RunState
from shared.errors import BrokerUnavailable
from shared.messages import StreamKey, WakeUp
from shared.pipeline.responses import Response
from shared.pipeline.turns import offset_of
from tests.fakes.scripted_source import Call, pages_of
from tests.fakes.world import PIPELINE, World

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECORDS: list[dict[str, object]] = [{"id": number} for number in range(3)]

STAGGERED = PIPELINE.replace("source:", "stagger: 30m\nsource:", 1)


async def world_of(users: int, pipeline: str, **settings: str) -> World:
    world = World(pages_of(RECORDS), pipeline, settings)
    for number in range(users):
        await world.add_user(name_of(number), f"token-{number}")
    return world


def name_of(number: int) -> str:
    return f"u{number:03d}"


def turn_of(number: int) -> datetime:
    return NOON + offset_of(StreamKey("social", "posts", name_of(number)), timedelta(minutes=30))


async def test_with_a_stagger_everybody_is_begun_and_woken_in_their_turn():
    world = await world_of(20, STAGGERED)
    assert (await world.schedule()).facts["started"] == 20
    turns = {each.key.user: each.not_before or NOON for each in await world.services.checkpoints.all()}
    assert turns == {name_of(number): turn_of(number) for number in range(20)}
    sent = {WakeUp.decode(message.body).user: message.at for message in world.broker.waiting("mine")}
    assert sent == turns
    await world.run()
    assert len(world.lines()) == 20 * len(RECORDS)


async def test_a_turn_that_has_not_come_is_not_taken_for_a_lost_wake_up():
    """Neither by the reconciler nor by a worker to whom the wake-up came too early."""
    world = await world_of(5, STAGGERED)
    await world.schedule()
    world.later(minutes=3)
    waiting = [number for number in range(5) if turn_of(number) > world.clock.now()]
    assert waiting
    world.broker.ready = [(replace(message, at=None), *rest) for message, *rest in world.broker.ready]
    await world.reconcile()
    fetched: list[datetime] = []
    answered = world.source.respond

    def respond(call: Call) -> Response:
        fetched.append(world.clock.now())
        return answered(call)

    world.source.respond = respond
    await world.run()
    assert len(world.lines()) == 5 * len(RECORDS)
    firsts = sorted(turn_of(number) for number in range(5))
    assert all(at >= firsts[0] - timedelta(seconds=2) for at in fetched)
    assert fetched[-1] >= firsts[-1] - timedelta(seconds=2)


async def test_a_first_wake_up_that_is_lost_before_its_turn_comes_after_it():
    world = await world_of(1, STAGGERED)
    await world.schedule()
    world.broker.ready.clear()
    world.clock.pass_to(turn_of(0) + timedelta(seconds=100))
    assert (await world.reconcile()).facts == {"moving": 1}
    world.later(seconds=30)
    assert (await world.reconcile()).facts == {"woken": 1}
    await world.run()
    assert len(world.lines()) == len(RECORDS)


async def test_whoever_sends_a_first_wake_up_again_schedules_it_for_the_same_turn():
    """A scheduler that was cut off behind the checkpoint goes through the portion once more."""
    world = await world_of(3, STAGGERED)
    world.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await world.schedule()
    world.broker.away = False
    world.later(minutes=1)
    await world.schedule()
    sent = {WakeUp.decode(message.body).user: message.at for message in world.broker.waiting("mine")}
    assert sent == {name_of(number): turn_of(number) for number in range(3)}


async def test_a_parked_run_goes_on_in_its_turn():
    world = await world_of(1, STAGGERED)
    await world.schedule()
    world.broker.ready.clear()
    (open_run,) = await world.services.checkpoints.all()
    await world.services.checkpoints.replace(open_run.parked(NOON, "temporary", None, "why"))
    world.later(hours=1)
    await world.schedule()
    (resumed,) = await world.services.checkpoints.all()
    assert (resumed.state, resumed.not_before) == (RunState.RUNNING, turn_of(0) + timedelta(hours=1))


async def test_in_request_mode_nobody_waits_for_a_turn():
    world = await world_of(3, STAGGERED, SCHEDULES="requested")
    await world.services.schedules.request("social", "posts", world.clock.now())
    await world.schedule()
    assert [message.at for message in world.broker.waiting("mine")] == [None] * 3

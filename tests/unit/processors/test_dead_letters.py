"""Dead letters: classified by the evidence in the checkpoint, then replayed, parked or dropped; always completed."""

import random
from dataclasses import replace

import pytest

from processors.dead_letters import POLICY, STORAGE_WAIT, Letter, Park, Replay, handle
from shared.adapters.parked_table import Parked
from shared.checkpoint import RunState
from shared.errors import BrokerUnavailable, ErrorKind
from shared.messages import WakeUp
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(6)]
REPLAYED = sorted(kind for kind, policy in POLICY.items() if isinstance(policy, Replay))
PARKED = sorted(kind for kind, policy in POLICY.items() if isinstance(policy, Park))


@pytest.fixture
async def world() -> World:
    """One page is mined; the wake-up of the second one is nowhere."""
    world = World(pages_of(RECORDS))
    await world.add_user()
    await world.schedule()
    first = world.broker.receive("mine")
    assert first is not None
    await world.handle(first)
    world.broker.ready.clear()
    world.later(minutes=2)
    return world


def letter(wake_up: WakeUp, queue: str = "mine") -> Letter:
    return Letter(queue, wake_up.encode(), wake_up.message_id, "MaxDeliveryCountExceeded", "delivered 10 times")


async def dead(world: World) -> Letter:
    return letter((await world.checkpoint()).wake_up())


async def with_evidence(world: World, kind: ErrorKind | None, replays: int = 0, failures: int = 1) -> Letter:
    failed = {"failures": failures, "last_error_kind": kind, "last_error": "what it said"}
    checkpoint = replace(await world.checkpoint(), replays=replays, **failed)
    await world.services.checkpoints.replace(checkpoint)
    return letter(checkpoint.wake_up())


async def parked(world: World) -> list[Parked]:
    return [each async for each in world.services.parked.all()]


def test_there_is_a_policy_for_every_kind_of_error():
    assert POLICY.keys() == set(ErrorKind)


@pytest.mark.parametrize("kind", REPLAYED)
async def test_what_time_may_cure_is_replayed_later_under_a_new_id(world: World, kind: ErrorKind):
    policy = POLICY[kind]
    assert isinstance(policy, Replay)
    found = await with_evidence(world, kind)
    outcome = await handle(found, world.services)
    assert (outcome.what, outcome.facts["reason"], outcome.facts["seconds"]) == ("replayed", kind, policy.after)
    checkpoint = await world.checkpoint()
    assert checkpoint.not_before is not None
    assert (checkpoint.not_before - world.clock.now()).total_seconds() == policy.after
    message = world.broker.ready[-1][0]
    assert message.message_id != found.message_id
    assert message.at == checkpoint.not_before
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", REPLAYED)
async def test_replays_are_counted_come_later_each_time_and_end(world: World, kind: ErrorKind):
    policy = POLICY[kind]
    assert isinstance(policy, Replay)
    await with_evidence(world, kind)
    seconds = []
    for _ in range(policy.times):
        outcome = await handle(await dead(world), world.services)
        assert outcome.what == "replayed"
        seconds.append(outcome.facts["seconds"])
    assert seconds == [policy.after * 2**replay for replay in range(policy.times)]
    last = await handle(await dead(world), world.services)
    assert (last.what, last.facts["reason"]) == ("parked", kind)
    assert (await world.checkpoint()).state is RunState.PARKED


@pytest.mark.parametrize("kind", PARKED)
async def test_what_needs_somebody_is_parked_with_its_message_and_its_evidence(world: World, kind: ErrorKind):
    found = await with_evidence(world, kind)
    outcome = await handle(found, world.services)
    assert (outcome.what, outcome.facts["reason"]) == ("parked", kind)
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, kind)
    (row,) = await parked(world)
    assert (row.reason, row.error, row.user, row.queue) == (kind, "what it said", "ann", "mine")
    assert WakeUp.decode(row.body) == WakeUp.decode(found.body)


async def test_what_was_mined_before_is_delivered_all_the_same(world: World):
    await handle(await with_evidence(world, ErrorKind.CURSOR_LOOP), world.services)
    await world.run()
    assert world.ids() == [0, 1]


async def test_what_went_wrong_before_the_last_page_is_no_evidence(world: World):
    """A run that was parked for a credential and goes on with another one is not parked for the first again."""
    outcome = await handle(await with_evidence(world, ErrorKind.INVALID_CREDENTIAL, failures=0), world.services)
    assert (outcome.what, outcome.facts["reason"]) == ("replayed", "unknown")


async def test_without_evidence_the_brokers_reason_is_kept(world: World):
    await world.services.checkpoints.replace(replace(await world.checkpoint(), replays=99))
    await handle(await dead(world), world.services)
    (row,) = await parked(world)
    assert row.reason == ErrorKind.UNKNOWN
    assert row.error == "dead-lettered: MaxDeliveryCountExceeded delivered 10 times"


async def test_a_page_that_goes_well_forgives_nothing_it_should_not(world: World):
    """Replays are counted over the run: a source that kills one message in three must not go on for ever."""
    await handle(await with_evidence(world, ErrorKind.TEMPORARY), world.services)
    await world.run()
    assert (await world.checkpoint()).replays == 1


@pytest.mark.parametrize("change", [{"run": "20200101T000000Z-other"}, {"user": "bob"}, {"seq": 9}])
async def test_what_nobody_waits_for_is_dropped(world: World, change: dict[str, object]):
    wake_up = (await world.checkpoint()).wake_up().model_copy(update=change)
    outcome = await handle(letter(wake_up), world.services)
    assert (outcome.what, outcome.facts["reason"]) == ("dropped", "nobody waits for it")
    assert world.broker.ready == []
    assert await parked(world) == []


async def test_a_letter_of_a_run_that_has_ended_is_dropped(world: World):
    found = await dead(world)
    await world.services.send(WakeUp.decode(found.body))
    await world.run()
    assert (await handle(found, world.services)).what == "dropped"
    assert world.ids() == [0, 1, 2, 3, 4, 5]


async def test_a_letter_that_is_behind_wakes_what_should_have_followed(world: World):
    """Perhaps a replay was written down and never sent; a run that goes well is not disturbed."""
    old = await dead(world)
    await handle(old, world.services)
    written = await world.checkpoint()
    world.broker.ready.clear()
    world.later(minutes=2)
    outcome = await handle(old, world.services)
    assert outcome.what == "resent"
    assert await world.checkpoint() == written
    assert world.broker.ready[-1][0].message_id == written.wake_up().message_id


async def test_a_broker_that_refuses_sends_uses_up_no_replay(world: World):
    """The letter comes back at once, again and again: that must not park the run."""
    found = await with_evidence(world, ErrorKind.TEMPORARY)
    world.broker.away = True
    for _ in range(20):
        with pytest.raises(BrokerUnavailable):
            await handle(found, world.services)
    world.broker.away = False
    await handle(found, world.services)
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.replays) == (RunState.RUNNING, 1)
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\x00\xfe", b'{"version": 2}', b"x" * 200_000])
async def test_a_message_that_is_not_ours_is_parked_with_its_bytes(world: World, body: bytes):
    outcome = await handle(Letter("mine-high", body, "strange id/\\#?\x00"), world.services)
    assert (outcome.what, outcome.facts["reason"]) == ("parked", "malformed")
    (row,) = await parked(world)
    assert (row.body, row.queue) == (body[:60_000], "mine-high")
    assert row.error.startswith("not a wake-up: ")


async def test_different_strangers_are_parked_apart_and_the_same_one_once(world: World):
    for body in (b"one", b"two", b"two"):
        await handle(Letter("mine", body, ""), world.services)
    assert sorted(row.body for row in await parked(world)) == [b"one", b"two"]


@pytest.mark.parametrize("table", ["streams", "parked"])
async def test_while_storage_is_away_a_letter_goes_back_to_its_queue_unjudged(world: World, table: str):
    """Under a new id, later: its evidence can't be read now."""
    found = await with_evidence(world, ErrorKind.CURSOR_LOOP)
    getattr(world, table).away = True
    outcome = await handle(found, world.services)
    assert outcome.what == "returned"
    message = world.broker.ready[-1][0]
    assert (message.queue, message.body) == ("mine", found.body)
    assert message.message_id != found.message_id
    assert len(message.message_id) <= 128
    assert message.at == world.clock.now() + STORAGE_WAIT


async def test_a_letter_that_is_returned_twice_has_two_ids(world: World):
    found = await dead(world)
    services = replace(world.services, random=random.Random(1).random)
    world.streams.away = True
    await handle(found, services)
    await handle(found, services)
    assert world.broker.dropped == []


@pytest.mark.parametrize("body", [b"hello", None])
async def test_it_raises_only_when_the_broker_is_away_too(world: World, body: bytes | None):
    """The letter then stays where it is."""
    found = await dead(world) if body is None else Letter("mine", body, "id")
    for table in world.tables:
        table.away = True
    assert (await handle(found, world.services)).what == "returned"
    world.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await handle(found, world.services)


class TestDelivery:
    async def test_a_dead_delivery_is_replayed_as_long_as_pages_wait(self, world: World):
        """Committed pages are never given up, however often it fails."""
        for number in range(30):
            wake_up = (await world.checkpoint()).delivery_wake_up().model_copy(update={"attempt": number})
            outcome = await handle(letter(wake_up, "deliver"), world.services)
            assert outcome.what == "replayed"
            assert 0 < outcome.facts["seconds"] <= 900
        assert await parked(world) == []
        await world.run()
        assert world.ids() == [0, 1]

    async def test_its_replays_have_ids_of_their_own(self, world: World):
        wake_up = (await world.checkpoint()).delivery_wake_up()
        for _ in range(3):
            await handle(letter(wake_up, "deliver"), world.services)
        assert world.broker.dropped == []
        assert {message.queue for message, _, _ in world.broker.ready} == {"deliver"}

    async def test_with_nothing_to_deliver_it_is_dropped(self, world: World):
        wake_up = (await world.checkpoint()).delivery_wake_up()
        await world.services.send(wake_up)
        await world.run()
        outcome = await handle(letter(wake_up, "deliver"), world.services)
        assert (outcome.what, outcome.facts["reason"]) == ("dropped", "nothing to deliver")

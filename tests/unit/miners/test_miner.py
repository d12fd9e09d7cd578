"""One page per wake-up, whatever the wake-up, the source and the user are like."""

import pytest

from shared.checkpoint import RunState
from shared.errors import BrokerUnavailable, ErrorKind, StorageUnavailable
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import World

RECORDS: list[dict[str, object]] = [{"id": number, "text": f"post {number}"} for number in range(5)]


async def started(world: World) -> World:
    await world.add_user()
    await world.schedule()
    return world


async def test_every_record_reaches_the_output_exactly_once():
    """The main job: three pages, one delivery, all records with their origin."""
    world = await started(World(pages_of(RECORDS)))
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]
    assert {line["_user"] for line in world.lines()} == {"ann"}
    assert [line["_page"] for line in world.lines()] == [0, 0, 1, 1, 2]
    assert (await world.checkpoint()).state is RunState.DONE
    assert len(world.source.calls) == 3


async def test_a_page_is_one_message():
    """Each wake-up fetches one page and sends the next wake-up."""
    world = await started(World(pages_of(RECORDS)))
    first = world.broker.receive("mine")
    assert first is not None
    await world.handle(first)
    assert len(world.source.calls) == 1
    assert (await world.checkpoint()).next_seq == 1


async def test_the_users_own_credential_goes_with_the_request():
    world = World(pages_of(RECORDS))
    await world.add_user("ann", "token-of-ann")
    await world.add_user("bob", "token-of-bob")
    await world.schedule()
    await world.run()
    assert {(call.user, call.credential) for call in world.source.calls} == {
        ("ann", "Bearer token-of-ann"),
        ("bob", "Bearer token-of-bob"),
    }


async def test_a_redelivered_wake_up_sends_the_continuation_again():
    """Committed, then the worker died before it sent: the same message must heal that, without fetching again."""
    world = await started(World(pages_of(RECORDS)))
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    world.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await world.handle(wake_up)
    world.broker.away = False
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]
    assert len(world.source.calls) == 3


async def test_a_commit_whose_answer_was_lost_is_not_repeated():
    """The transaction happened, the answer did not arrive: the redelivered wake-up sees it in the checkpoint."""
    world = await started(World(pages_of(RECORDS)))
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    world.streams.lose_next_answer = True
    with pytest.raises(StorageUnavailable):
        await world.handle(wake_up)
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]
    assert len(world.source.calls) == 3


async def test_duplicates_and_late_wake_ups_do_nothing():
    """Every message ever sent, handled again after the end, fetches nothing and changes nothing."""
    world = await started(World(pages_of(RECORDS)))
    await world.run()
    before = dict(world.output.objects)
    for message in list(world.broker.sent):
        await world.invoke(message)
    world.later(hours=1)
    await world.run()
    assert world.output.objects == before
    assert len(world.source.calls) == 3


async def test_two_workers_on_one_page_commit_it_once():
    """A zombie and its successor fetch the same page, which answers differently: one of them is believed."""
    world = await started(World(pages_of(RECORDS)))
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    world.source.meanwhile = lambda: world.invoke(wake_up.message)
    await world.handle(wake_up)
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]
    assert world.outcomes[1][1].what == "overtaken"


async def test_a_throttled_page_is_scheduled_for_when_the_source_wants_it():
    responses = [answer({}, 429, retry_after="90"), *[None] * 9]

    def respond(call: Call):
        throttled = responses.pop(0)
        return throttled or pages_of(RECORDS)(call)

    world = await started(World(respond))
    asked_at = world.clock.now()
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    await world.handle(wake_up)
    checkpoint = await world.checkpoint()
    assert checkpoint.last_error_kind is ErrorKind.RATE_LIMITED
    assert checkpoint.not_before is not None
    assert 90 <= (checkpoint.not_before - asked_at).total_seconds() < 100
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]

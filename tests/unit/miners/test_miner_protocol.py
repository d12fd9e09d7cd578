"""Wake-ups that come early, late, twice or for another run, and two workers on one page."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from miners.committing import delivery_due
from miners.miner import HELD_BACK, SOON, mine
from processors.batches import BatchLimits
from processors.dead_letters import Letter
from shared.checkpoint import Checkpoint, RunState
from shared.errors import Conflict, StorageUnavailable
from shared.messages import Priority, StreamKey
from shared.pipeline.loop_guard import LoopGuard
from shared.pipeline.responses import Response
from shared.runs import postpone
from tests.fakes.memory_broker import Delivered
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, PIPELINE, START, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
ALL = [0, 1, 2, 3, 4]


async def started(world: World) -> Delivered:
    """The first wake-up of a run that has just begun."""
    await world.add_user()
    await world.schedule()
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    return wake_up


@pytest.fixture
def world() -> World:
    return World(pages_of(RECORDS))


async def test_a_wake_up_that_comes_early_is_scheduled_for_its_time(world: World):
    """The source asked for ten minutes; a message of the reconciler does not undercut it."""
    wake_up = await started(world)
    until = START + timedelta(minutes=10)
    checkpoint = await postpone(await world.checkpoint(), until, world.services)
    wake_up.complete()
    early = await world.invoke(world.services.outgoing(checkpoint.wake_up()))
    assert early.what == "postponed"
    assert world.source.calls == []
    await world.run()
    assert world.clock.now() >= until
    assert world.ids() == ALL


async def test_a_worker_whose_clock_is_behind_asks_for_the_brokers_time(world: World):
    """Else the broker would hand out what is scheduled at once, again and again, until the clocks agree."""
    (await started(world)).complete()
    until = world.clock.now() + timedelta(seconds=30)
    await postpone(await world.checkpoint(), until, world.services)
    scheduled = world.broker.sent[-1]
    by_the_broker = world.clock.now() + timedelta(minutes=5)
    letter = Letter(scheduled.queue, scheduled.body, scheduled.message_id, enqueued_at=by_the_broker)
    await mine(letter, world.services, world.cache)
    assert world.broker.sent[-1].at == until + timedelta(minutes=5)
    assert (await world.checkpoint()).not_before == until


async def test_a_short_wait_is_waited_out(world: World):
    """Scheduling a message for a second costs more than the second."""
    wake_up = await started(world)
    checkpoint = await postpone(await world.checkpoint(), START + SOON, world.services)
    wake_up.complete()
    assert (await world.invoke(world.services.outgoing(checkpoint.wake_up()))).what == "committed"
    assert world.clock.now() == START + SOON


async def test_at_admission_zero_nothing_is_fetched_and_everything_is_kept_for_later(world: World):
    wake_up = await started(world)
    await world.services.admission.set(0)
    outcome = await world.handle(wake_up)
    assert outcome.what == "postponed"
    assert world.source.calls == []
    checkpoint = await world.checkpoint()
    assert checkpoint.not_before is not None
    assert HELD_BACK * 0.5 <= checkpoint.not_before - START <= HELD_BACK * 1.5
    world.later(minutes=5)
    for _ in range(5):
        held = world.broker.receive("mine")
        assert held is not None
        assert (await world.handle(held)).what == "postponed"
        world.later(minutes=5)
    await world.services.admission.set(100)
    await world.run()
    assert world.ids() == ALL


async def test_admission_is_the_same_for_the_same_user_each_time(world: World):
    """At 40 percent the same 40 of 100 go on; alternating would stop all runs halfway."""
    await world.services.admission.set(40)
    users = [StreamKey("social", "posts", f"u{number}") for number in range(200)]
    first = [await world.services.admission.admits(key) for key in users]
    assert first == [await world.services.admission.admits(key) for key in users]
    assert 40 < sum(first) < 120


async def test_messages_of_an_older_run_do_nothing(world: World):
    """Fencing: a half-dead worker with last hour's message meets another run."""
    await world.handle(await started(world))
    await world.run()
    old = [message for message in world.broker.sent if message.queue == "mine"]
    world.later(hours=1)
    await world.schedule()
    before = await world.checkpoint()
    for message in old:
        assert (await world.invoke(message)).what == "ignored"
    assert await world.checkpoint() == before


@pytest.mark.parametrize("change", ["cancelled", "new run"])
async def test_a_worker_that_is_overtaken_by_a_cancel_or_a_new_run_commits_nothing(world: World, change: str):
    """It has fetched its page when the checkpoint is taken away: If-Match refuses the page too."""
    wake_up = await started(world)

    async def meanwhile() -> None:
        checkpoint, now = await world.checkpoint(), world.clock.now()
        changed = (
            checkpoint.cancelled(now, "asked for")
            if change == "cancelled"
            else checkpoint.begin_again("20261122T130000Z-new", now, Priority.NORMAL, "i")
        )
        await world.services.checkpoints.replace(changed)

    world.source.meanwhile = meanwhile
    outcome = await world.handle(wake_up)
    assert outcome.what == "overtaken"
    assert not await world.services.checkpoints.has_pages(KEY)
    assert (await world.checkpoint()).next_seq == 0


async def test_overtaken_by_a_postponement_the_page_is_mined_all_the_same(world: World):
    """The reconciler was impatient: its own wake-up, or this worker's new one, goes on."""
    wake_up = await started(world)
    world.source.meanwhile = lambda: world.reconcile_now()
    assert (await world.handle(wake_up)).what == "overtaken"
    await world.run()
    assert world.ids() == ALL


async def test_a_user_who_is_removed_with_everything_while_a_page_is_fetched_is_not_put_back(world: World):
    wake_up = await started(world)
    world.source.meanwhile = lambda: world.services.checkpoints.remove(KEY)
    assert (await world.handle(wake_up)).what == "overtaken"
    assert await world.services.checkpoints.read(KEY) is None
    assert world.streams.rows == {}


@pytest.mark.parametrize("writes", range(8))
@pytest.mark.parametrize("answered", [True, False])
async def test_storage_that_goes_away_at_any_write_costs_nothing_but_time(world: World, writes: int, answered: bool):
    """Between any two writes of a run, before or after the last one happened."""
    await world.add_user()
    await world.schedule()
    world.streams.cut_off(writes, answered=answered)
    for _ in range(60):
        if (message := world.broker.receive()) is None:
            world.clock.pass_to(world.broker.next_due() or world.clock.now())
            continue
        try:
            await world.handle(message)
        except StorageUnavailable:
            world.streams.mend()
    await world.run()
    assert sorted(world.ids(), key=str) == ALL
    assert (await world.checkpoint()).state is RunState.DONE


async def test_a_page_that_answers_differently_the_second_time_is_believed_once():
    """Two workers fetch page 0 and get other records; whoever commits first is right, and the run follows it."""
    answers = [[{"id": "a1"}, {"id": "a2"}], [{"id": "b1"}]]

    def respond(call: Call) -> Response:
        if call.query("after"):
            return answer({"data": [], "next": None})
        return answer({"data": answers.pop(0), "next": "end"})

    world = World(respond)
    wake_up = await started(world)
    world.source.meanwhile = lambda: world.invoke(wake_up.message)
    await world.handle(wake_up)
    await world.run()
    assert world.ids() in (["a1", "a2"], ["b1"])


async def test_relative_links_lead_on_from_the_page_that_names_them():
    """RFC 3986: relative to the page, not to where the run began."""
    pages = {
        "/v1/me/posts": {"data": [{"id": 0}], "next": "posts/2"},
        "/v1/me/posts/2": {"data": [{"id": 1}], "next": "3"},
        "/v1/me/posts/3": {"data": [{"id": 2}], "next": "/v1/last?x=a%2Bb"},
        "/v1/last": {"data": [{"id": 3}], "next": None},
    }
    pipeline = PIPELINE.replace(
        "{ type: cursor, cursor_path: next, cursor_param: after }", "{ type: json_link, next_url_path: next }"
    )
    world = World(lambda call: answer(pages[call.url.removeprefix("https://api.example.com").split("?")[0]]), pipeline)
    await started(world)
    world.broker.expire_locks()
    await world.run()
    assert world.ids() == [0, 1, 2, 3]
    assert world.source.calls[-1].url == "https://api.example.com/v1/last?x=a%2Bb"


async def test_a_token_in_a_next_link_is_not_stored_and_sent_as_the_file_says():
    pipeline = PIPELINE.replace(
        "{ type: cursor, cursor_path: next, cursor_param: after }", "{ type: json_link, next_url_path: next }"
    )

    def respond(call: Call) -> Response:
        token = call.credential.removeprefix("Bearer ")
        following = (
            f"https://api.example.com/v1/me/posts?after=2&access_token={token}" if "after" not in call.url else ""
        )
        return answer({"data": [{"id": len(call.url)}], "next": following})

    world = World(respond, pipeline)
    await world.handle(await started(world))
    assert (await world.checkpoint()).cursor == "https://api.example.com/v1/me/posts?after=2"
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE


async def test_a_token_among_the_next_parameters_is_not_stored():
    pipeline = PIPELINE.replace(
        "{ type: cursor, cursor_path: next, cursor_param: after }", "{ type: next_query, next_query_path: next }"
    )

    def respond(call: Call) -> Response:
        token = call.credential.removeprefix("Bearer ")
        following = {"after": 2, "access_token": token} if "after" not in call.url else None
        return answer({"data": [{"id": len(call.url)}], "next": following})

    world = World(respond, pipeline)
    await world.handle(await started(world))
    assert (await world.checkpoint()).cursor == '{"after":"2"}'
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE
    assert world.source.calls[-1].url.endswith("after=2")


async def test_a_page_without_new_records_leaves_no_row_and_the_run_goes_on():
    pages = iter([[{"id": 1}], [{"id": 1}], [], [{"id": 2}]])

    def respond(call: Call) -> Response:
        return answer({"data": next(pages), "next": str(int(call.query("after", "0")) + 1)})

    def ending(call: Call) -> Response:
        return respond(call) if call.query("after") != "4" else answer({"data": [], "next": None})

    world = World(ending)
    await started(world)
    world.broker.expire_locks()
    await world.run()
    assert world.ids() == [1, 2]
    checkpoint = await world.checkpoint()
    assert (checkpoint.records, checkpoint.duplicates, checkpoint.next_seq) == (2, 1, 5)


async def test_priority_chooses_the_queue():
    world = World(pages_of(RECORDS), PIPELINE + "priority: high\n")
    await world.add_user()
    await world.schedule()
    assert {message.queue for message in world.broker.sent} == {"mine-high"}
    await world.run()
    assert {message.queue for message in world.broker.sent} == {"mine-high", "deliver"}
    assert world.ids() == ALL


async def test_a_page_larger_than_any_row_is_committed(world: World):
    noise = "".join(str(number**7) for number in range(70_000))
    world = World(lambda call: answer({"data": [{"id": 1, "noise": noise}], "next": None}))
    assert (await world.handle(await started(world))).what == "committed"
    assert len(world.pages.objects) == 1
    await world.run()
    assert world.lines()[0]["noise"] == noise


# When delivery is woken -------------------------------------------------------------------------------------------

LIMITS = BatchLimits(records=100, bytes=1000, seconds=60)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGUN = Checkpoint.begin(KEY, "run1", NOW, Priority.NORMAL, "run1")


def due(before: Checkpoint, now: datetime = NOW, cursor: str | None = "c", **changes: Any) -> datetime | None:
    facts = {"records": 10, "duplicates": 0, "size": 100, "indexed": True, **changes}
    return delivery_due(before, before.committed(now, cursor, LoopGuard(), **facts), LIMITS, now)


def test_the_first_staged_page_asks_for_a_delivery_in_time():
    assert due(BEGUN) == NOW + timedelta(seconds=60)


def test_while_that_is_still_to_come_nothing_more_is_asked():
    staged = replace(BEGUN, staged_records=10, staged_since=NOW)
    assert due(staged, NOW + timedelta(seconds=30)) is None


def test_a_page_that_may_come_too_late_for_it_asks_again():
    staged = replace(BEGUN, staged_records=10, staged_since=NOW)
    late = NOW + timedelta(seconds=59)
    assert due(staged, late) == late + timedelta(seconds=60)


@pytest.mark.parametrize("change", [{"records": 100}, {"size": 1000}, {"cursor": None}])
def test_enough_records_enough_bytes_or_the_end_wake_it_at_once(change: dict[str, Any]):
    assert due(BEGUN, **change) == NOW


@pytest.mark.parametrize("cursor", ["c", None])
def test_nothing_staged_wakes_nobody(cursor: str | None):
    assert due(BEGUN, cursor=cursor, records=0, size=0) is None


async def test_a_conflict_in_the_middle_of_anything_is_no_error(world: World):
    """Every write of the miner may lose a race; the message is handled, not abandoned."""
    wake_up = await started(world)
    await postpone(await world.checkpoint(), START, world.services)
    stale = await world.services.checkpoints.read(KEY)
    assert stale is not None
    await postpone(stale, START, world.services)
    with pytest.raises(Conflict):
        await postpone(stale, START, world.services)
    assert (await world.handle(wake_up)).what == "resent"
    await world.run()
    assert world.ids() == ALL

"""Who is due now, and that everybody who is gets exactly one run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miners.scheduler import CURED_BY_TIME, PORTION, TIME_BOX, due_tick, run_id, schedule, start_run, tick_of
from shared.adapters.schedule_table import Schedule
from shared.adapters.service_bus import Outgoing
from shared.checkpoint import Checkpoint, RunState
from shared.errors import BrokerUnavailable, Conflict, ErrorKind, StorageUnavailable
from shared.messages import StreamKey, WakeUp
from shared.users import User, UserState
from tests.fakes.memory_broker import MemoryBroker
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import PIPELINE, World

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOURLY = "0 0 * * * *"
RECORDS: list[dict[str, object]] = [{"id": number} for number in range(3)]
KNOWN = Schedule("social", "posts", tick=NOON)


def hours(number: int) -> timedelta:
    return timedelta(hours=number)


class TestDueTick:
    def test_what_was_never_started_is_due_since_the_last_moment(self):
        assert due_tick(Schedule("social", "posts"), HOURLY, "cron", NOW) == NOON

    def test_what_was_started_is_not_due_before_the_next_moment(self):
        assert due_tick(KNOWN, HOURLY, "cron", NOW) is None
        assert due_tick(KNOWN, HOURLY, "cron", NOW + hours(1)) == NOON + hours(1)

    def test_moments_that_were_missed_are_made_up_for_once(self):
        """A day of outage is one run, not 24."""
        assert due_tick(KNOWN, HOURLY, "cron", NOW + hours(24)) == NOON + hours(24)

    def test_what_was_begun_is_finished_first(self):
        begun = replace(KNOWN, finished=False)
        assert due_tick(begun, HOURLY, "cron", NOW + hours(5)) == NOON

    def test_runs_that_were_asked_for_are_due_out_of_schedule(self):
        asked = replace(KNOWN, requested=NOON + timedelta(seconds=20))
        assert due_tick(asked, HOURLY, "cron", NOW) == NOON + timedelta(seconds=20)

    def test_in_request_mode_only_what_was_asked_for_is_due(self):
        fresh = Schedule("social", "posts")
        assert due_tick(fresh, HOURLY, "requested", NOW) is None
        asked = replace(fresh, requested=NOW)
        assert due_tick(asked, HOURLY, "requested", NOW) == NOW
        assert due_tick(replace(asked, tick=NOW), HOURLY, "requested", NOW + hours(9)) is None

    def test_what_was_asked_for_before_the_last_start_is_done(self):
        assert due_tick(replace(KNOWN, requested=NOON - hours(1)), HOURLY, "cron", NOW) is None

    @given(st.timedeltas(timedelta(), timedelta(days=800)), st.sampled_from(["*/10 * * * * *", HOURLY]))
    def test_a_due_moment_is_past_and_is_due_once(self, passed: timedelta, cron: str):
        now = NOON + passed
        tick = due_tick(Schedule("social", "posts"), cron, "cron", now)
        assert tick is not None
        assert tick < now <= tick + hours(1)
        assert due_tick(Schedule("social", "posts", tick=tick), cron, "cron", now) is None


def test_run_ids_sort_by_time_and_differ_by_user():
    ann, bob = StreamKey("social", "posts", "ann"), StreamKey("social", "posts", "bob")
    ids = [run_id(NOON, ann), run_id(NOON + hours(1), ann), run_id(NOON, bob), run_id(NOON, ann)]
    assert ids[0] < ids[1]
    assert ids[0] != ids[2]
    assert ids[0] == ids[3]
    assert ids[0].startswith("20261122T120000Z-")


@given(st.timedeltas(-timedelta(days=7000), timedelta(days=7000)), st.text(min_size=1))
def test_a_run_s_id_tells_the_moment_it_was_due(away: timedelta, user: str):
    tick = (NOON + away).replace(microsecond=0)
    assert tick_of(run_id(tick, StreamKey("social", "posts", user))) == tick


async def world_of(users: int, pipeline: str = PIPELINE, **settings: str) -> World:
    world = World(pages_of(RECORDS), pipeline, settings)
    for number in range(users):
        await world.add_user(name_of(number), f"token-{number}")
    return world


def name_of(number: int) -> str:
    return f"u{number:03d}"


class SlowBroker(MemoryBroker):
    """Every send takes longer than a scheduler has."""

    async def send(self, messages: list[Outgoing]) -> None:
        await self.clock.sleep(TIME_BOX.total_seconds() + 1)
        await super().send(messages)


def woken(world: World) -> list[str]:
    """Users that got a first wake-up, as often as they did."""
    wake_ups = [WakeUp.decode(message.body) for message, _, _ in world.broker.ready if message.queue == "mine"]
    return sorted(wake_up.user for wake_up in wake_ups if wake_up.seq == 0)


async def checkpoints(world: World) -> list[Checkpoint]:
    return await world.services.checkpoints.all()


async def test_every_user_gets_one_run():
    world = await world_of(PORTION * 2 + 7)
    outcome = await world.schedule()
    assert outcome.facts["started"] == PORTION * 2 + 7
    assert woken(world) == [name_of(number) for number in range(PORTION * 2 + 7)]
    assert len({checkpoint.run for checkpoint in await checkpoints(world)}) == PORTION * 2 + 7


async def test_a_tick_with_nothing_due_costs_one_read_per_stream():
    world = await world_of(3)
    await world.schedule()
    world.users.away = True
    world.streams.away = True
    outcome = await world.schedule()
    assert outcome.facts["started"] is None


async def test_every_stream_is_started():
    second = PIPELINE[PIPELINE.index("  - name") :].replace("posts", "likes")
    world = await world_of(2, PIPELINE + second.lstrip("\n"))
    await world.schedule()
    assert {(each.key.stream, each.key.user) for each in await checkpoints(world)} == {
        (stream, name_of(number)) for stream in ("posts", "likes") for number in range(2)
    }


async def test_a_stream_with_a_schedule_of_its_own_keeps_to_it():
    second = PIPELINE[PIPELINE.index("  - name") :].replace("posts", "likes")
    world = await world_of(1, PIPELINE + second.lstrip("\n") + '    schedule: "0 30 * * * *"\n')
    await world.schedule()
    await world.run()
    before = {each.key.stream: each.run for each in await checkpoints(world)}
    world.later(minutes=35)
    await world.schedule()
    after = {each.key.stream: each.run for each in await checkpoints(world)}
    assert after["likes"] > before["likes"]
    assert after["posts"] == before["posts"]


async def test_users_who_can_not_be_mined_are_skipped():
    world = await world_of(1)
    for user in (User("paused", {"token": "x"}, state=UserState.PAUSED), User("without")):
        await world.services.users.put(user)
    outcome = await world.schedule()
    assert (outcome.facts["started"], outcome.facts["skipped"]) == (1, 2)
    assert woken(world) == [name_of(0)]


async def test_cut_off_by_time_it_goes_on_where_it_stopped():
    """The time box ends after each portion; the next ticks finish the users, though a new moment has come."""
    world = await world_of(PORTION * 3)
    world.broker = SlowBroker(world.clock)
    slow = replace(world.services, broker=world.broker)
    started = [(await schedule(slow)).facts["started"] for _ in range(4)]
    assert started == [PORTION, PORTION, PORTION, None]
    assert woken(world) == [name_of(number) for number in range(PORTION * 3)]
    known = await world.services.schedules.read("social", "posts")
    assert (known.finished, known.tick) == (True, NOON)


@pytest.mark.parametrize("writes", [0, 1, 30, PORTION, PORTION + 1, PORTION + 30])
@pytest.mark.parametrize("answered", [True, False])
async def test_cut_off_by_a_crash_it_starts_nobody_twice_and_forgets_nobody(writes: int, answered: bool):
    world = await world_of(PORTION * 2)
    world.streams.cut_off(writes, answered=answered)
    with pytest.raises(StorageUnavailable):
        await world.schedule()
    world.streams.mend()
    world.later(minutes=2)
    await world.schedule()
    assert set(woken(world)) == {name_of(number) for number in range(PORTION * 2)}
    await world.run(5000)
    assert len(world.lines()) == PORTION * 2 * len(RECORDS)
    assert all(each.state is RunState.DONE for each in await checkpoints(world))


async def test_a_broker_that_is_away_costs_nothing_but_time():
    world = await world_of(PORTION + 5)
    world.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await world.schedule()
    world.broker.away = False
    await world.schedule()
    assert woken(world) == [name_of(number) for number in range(PORTION + 5)]


async def test_a_second_scheduler_at_the_same_stream_gives_way():
    """Both have read that the stream is due; one writes first."""
    world = await world_of(PORTION + 5)
    first = await world.services.schedules.read("social", "posts")
    await world.services.schedules.write(first.started(NOON))
    with pytest.raises(Conflict):
        await world.services.schedules.write(first.started(NOON))
    await world.schedule()
    assert woken(world) == [name_of(number) for number in range(PORTION + 5)]


async def test_a_run_that_is_still_open_is_not_started_again():
    world = await world_of(2)
    await world.schedule()
    runs = {each.run for each in await checkpoints(world)}
    world.later(hours=1)
    outcome = await world.schedule()
    assert (outcome.facts["started"], outcome.facts["skipped"]) == (None, 2)
    assert {each.run for each in await checkpoints(world)} == runs


async def test_an_open_run_that_the_index_has_lost_is_put_back_into_it():
    world = await world_of(1)
    await world.schedule()
    world.open_runs.rows.clear()
    world.later(hours=1)
    await world.schedule()
    assert [each.run async for each in world.services.open_runs.all()] == [
        each.run for each in await checkpoints(world)
    ]


async def test_a_scheduler_that_was_held_up_does_not_begin_an_old_run_again():
    """Its pages would bear the names of those that were delivered long ago, and never be."""
    world = await world_of(1)
    await world.schedule()
    await world.run()
    world.later(hours=1)
    await world.schedule()
    await world.run()
    latest = (await checkpoints(world))[0]
    user = await world.services.users.get(latest.key.user)
    assert user is not None
    pipeline = world.services.pipelines["social"]
    stream = pipeline.streams[0]
    assert await start_run(pipeline, stream, user, run_id(NOON, latest.key), world.services) is None
    assert await checkpoints(world) == [latest]


async def test_a_run_that_is_done_is_followed_by_the_next():
    world = await world_of(1)
    await world.schedule()
    await world.run()
    (first,) = await checkpoints(world)
    world.later(hours=1)
    await world.schedule()
    (second,) = await checkpoints(world)
    assert second.run > first.run
    assert (second.next_seq, second.state) == (0, RunState.RUNNING)
    await world.run()
    assert len(world.lines()) == len(RECORDS)  # nothing has changed at the source


@pytest.mark.parametrize(("emit", "lines"), [("all", 6), ("changed", 3), ("new", 3)])
async def test_what_the_next_run_emits_again_is_said_by_the_stream(emit: str, lines: int):
    world = await world_of(1, PIPELINE.rstrip("\n") + f"\n    emit: {emit}\n")
    for _ in range(2):
        await world.schedule()
        await world.run()
        await world.reconcile()
        world.later(hours=1)
    assert len(world.lines()) == lines


async def parked_until_it_is_due_again(world: World, reason: str) -> str:
    """The only user's run is parked, and an hour later everybody is due; returns the run's id."""
    await world.schedule()
    world.broker.ready.clear()
    (open_run,) = await checkpoints(world)
    await world.services.checkpoints.replace(open_run.parked(NOW, reason, None, "why"))
    world.later(hours=1)
    await world.schedule()
    return open_run.run


@pytest.mark.parametrize("reason", sorted({*CURED_BY_TIME, "user_paused", "invalid_credential", "credential_expired"}))
async def test_a_run_that_was_parked_for_what_is_cured_goes_on(reason: str):
    world = await world_of(1)
    run = await parked_until_it_is_due_again(world, reason)
    (resumed,) = await checkpoints(world)
    assert (resumed.run, resumed.state) == (run, RunState.RUNNING)
    await world.run()
    assert len(world.lines()) == len(RECORDS)


@pytest.mark.parametrize("reason", [ErrorKind.CURSOR_LOOP, ErrorKind.PAGE_LIMIT, ErrorKind.REJECTED, "unknown"])
async def test_a_run_that_was_parked_for_somebody_to_look_at_waits_for_them(reason: str):
    world = await world_of(1)
    await parked_until_it_is_due_again(world, reason)
    (waiting,) = await checkpoints(world)
    assert (waiting.state, waiting.reason) == (RunState.PARKED, reason)
    assert world.broker.ready == []


async def test_in_request_mode_asking_starts_everybody_once():
    world = await world_of(3, SCHEDULES="requested")
    assert (await world.schedule()).facts["started"] is None
    await world.services.schedules.request("social", "posts", world.clock.now())
    await world.services.schedules.request("social", "posts", world.clock.now())
    assert (await world.schedule()).facts["started"] == 3
    assert (await world.schedule()).facts["started"] is None


async def test_a_user_who_is_added_meanwhile_is_started_at_the_next_moment():
    world = await world_of(1)
    await world.schedule()
    await world.add_user("late", "x")
    assert (await world.schedule()).facts["started"] is None
    world.later(hours=1)
    await world.schedule()
    assert "late" in woken(world)

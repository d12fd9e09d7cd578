"""Whatever was lost is healed; the index of open runs errs only by naming too much."""

from dataclasses import replace
from datetime import timedelta

import pytest

from miners import reconciler
from miners.reconciler import AT_ONCE
from miners.scheduler import run_id
from processors.dedupe import SeenCache
from shared.adapters.open_run_table import PARTITIONS, OpenRun
from shared.checkpoint import RunState
from shared.errors import Conflict, ErrorKind
from shared.messages import StreamKey
from shared.runs import park
from shared.users import UserState
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import KEY, PIPELINE, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
ALL = [0, 1, 2, 3, 4]


async def started(pipeline: str = PIPELINE, users: tuple[str, ...] = ("ann",)) -> World:
    world = World(pages_of(RECORDS), pipeline)
    for name in users:
        await world.add_user(name, f"token-{name}")
    await world.schedule()
    return world


async def mined(world: World) -> World:
    """All three pages; their delivery has not begun."""
    for _ in range(3):
        await world.mine_page()
    return world


async def open_runs(world: World) -> list[OpenRun]:
    return [each async for each in world.services.open_runs.all()]


@pytest.mark.parametrize("pages", [0, 1, 2])
async def test_a_lost_wake_up_is_sent_again(pages: int):
    world = await started()
    for _ in range(pages):
        await world.mine_page()
    world.broker.ready.clear()
    outcome = await world.reconcile_now()
    assert outcome.facts == {"woken": 1}
    await world.run()
    assert world.ids() == ALL


async def test_it_goes_out_under_a_new_id():
    """The broker may have swallowed the old one as a duplicate."""
    world = await started()
    first = world.broker.sent[0]
    await world.reconcile_now()
    assert world.broker.sent[-1].message_id != first.message_id
    assert world.broker.dropped == []


async def test_a_run_that_moves_is_left_alone():
    world = await started()
    await world.mine_page()
    sent = len(world.broker.sent)
    world.later(seconds=119)
    assert (await world.reconcile()).facts == {"moving": 1}
    assert len(world.broker.sent) == sent


async def test_a_wake_up_that_waits_in_a_long_queue_is_left_alone():
    """One behind it would take its place, and wait as long, and so on."""
    world = await started()
    world.later(minutes=20)
    now = world.clock.now()
    await world.services.backlog.note("mine", now - timedelta(minutes=19), now)
    assert (await world.reconcile()).facts == {"moving": 1}
    world.later(seconds=61)
    assert (await world.reconcile()).facts == {"woken": 1}


async def test_when_nobody_tells_of_a_long_queue_any_more_it_is_none():
    """Everything in it was lost."""
    world = await started()
    world.later(minutes=20)
    now = world.clock.now()
    await world.services.backlog.note("mine", now - timedelta(hours=19), now)
    world.later(seconds=121)
    assert (await world.reconcile()).facts == {"woken": 1}


@pytest.mark.parametrize(("queue", "outcome"), [("deliver", "moving"), ("mine", "delivery_woken")])
async def test_a_delivery_that_waits_in_a_long_queue_of_its_own_is_left_alone(queue: str, outcome: str):
    world = await mined(await started())
    world.later(minutes=20)
    now = world.clock.now()
    await world.services.backlog.note(queue, now - timedelta(minutes=19), now)
    assert (await world.reconcile()).facts == {outcome: 1}


async def test_a_run_that_waits_for_its_time_is_left_alone():
    """Half an hour was asked for; patience begins after that."""
    world = await started()
    checkpoint = await world.checkpoint()
    until = world.clock.now().replace(minute=50)
    await world.services.checkpoints.replace(replace(checkpoint, not_before=until))
    world.clock.pass_to(until)
    assert (await world.reconcile()).facts == {"moving": 1}
    world.later(seconds=121)
    assert (await world.reconcile()).facts == {"woken": 1}


async def test_runs_that_are_open_for_too_long_are_counted_and_warned_of():
    """Whether they move or not; a parked one waits for somebody, who sees it elsewhere."""
    world = await started(users=("ann", "ben", "cid"))
    await park(await world.checkpoint(KEY), "temporary", None, "why", world.services)
    world.later(hours=23)
    assert not (await world.reconcile()).is_warning
    world.later(hours=2)
    await world.mine_page()
    outcome = await world.reconcile()
    assert outcome.facts["overlong"] == 2
    assert outcome.is_warning


async def test_what_is_too_long_is_a_setting():
    world = World(pages_of(RECORDS), settings={"OVERLONG_HOURS": "0.5"})
    await world.add_user()
    await world.schedule()
    world.later(minutes=31)
    assert (await world.reconcile()).facts["overlong"] == 1


async def test_a_lost_delivery_is_woken_again():
    """The run is done, its last message was lost."""
    world = await mined(await started())
    world.broker.ready.clear()
    assert (await world.checkpoint()).state is RunState.DONE
    assert (await world.reconcile()).facts == {"moving": 1}
    outcome = await world.reconcile_now()
    assert outcome.facts == {"delivery_woken": 1}
    await world.run()
    assert world.ids() == ALL


async def test_a_delivery_that_waits_for_its_output_is_left_alone():
    world = await mined(await started())
    delivery = await world.services.deliveries.read(KEY)
    until = world.clock.now().replace(minute=50)
    await world.services.deliveries.write(replace(delivery, not_before=until))
    assert (await world.reconcile_now()).facts == {"moving": 1}


async def test_the_index_row_of_a_run_that_is_delivered_is_closed():
    world = await started()
    await world.run()
    assert len(await open_runs(world)) == 1
    assert (await world.reconcile()).facts == {"closed": 1}
    assert await open_runs(world) == []
    assert (await world.reconcile()).facts == {}


async def test_an_index_row_without_a_checkpoint_is_closed_when_it_is_old():
    """It is written before the checkpoint, so a young one may only be early."""
    world = World(pages_of(RECORDS))
    await world.services.open_runs.add(OpenRun(KEY, "run1", world.clock.now()))
    assert (await world.reconcile()).facts == {"moving": 1}
    assert (await world.reconcile_now()).facts == {"closed": 1}
    assert await open_runs(world) == []


async def test_a_run_that_was_cut_off_before_its_checkpoint_is_begun():
    """The scheduler died, or is held up and will go on: either way the run is not forgotten."""
    world = World(pages_of(RECORDS))
    await world.add_user()
    run = run_id(world.clock.now(), KEY)
    await world.services.open_runs.add(OpenRun(KEY, run, world.clock.now()))
    assert (await world.reconcile()).facts == {"moving": 1}
    assert (await world.reconcile_now()).facts == {"begun": 1}
    assert (await world.checkpoint()).run == run
    world.broker.ready.clear()
    assert (await world.reconcile_now()).facts == {"woken": 1}
    await world.run()
    assert world.ids() == ALL


async def test_an_index_row_of_a_user_who_can_not_be_mined_is_closed():
    world = World(pages_of(RECORDS))
    await world.add_user(state=UserState.PAUSED)
    await world.services.open_runs.add(OpenRun(KEY, run_id(world.clock.now(), KEY), world.clock.now()))
    assert (await world.reconcile_now()).facts == {"closed": 1}
    assert await open_runs(world) == []


async def test_an_index_row_of_an_older_run_is_closed_and_the_newer_one_is_kept():
    world = await started()
    await world.mine_page()
    old = OpenRun(KEY, "20200101T000000Z-old", world.clock.now())
    await world.services.open_runs.add(old)
    world.later(minutes=10)
    found = (await open_runs(world))[0]
    newer = OpenRun(KEY, (await world.checkpoint()).run, world.clock.now())
    await world.services.open_runs.add(newer)
    assert found.etag != (await open_runs(world))[0].etag
    await world.reconcile()
    assert await open_runs(world) == [newer]


async def test_a_row_that_names_an_older_run_leads_to_the_one_that_is_open():
    """A scheduler that was held up wrote its row over the newer one."""
    world = await started()
    world.broker.ready.clear()
    await world.services.open_runs.add(OpenRun(KEY, "20200101T000000Z-old", world.clock.now()))
    assert (await world.reconcile_now()).facts == {"woken": 1}
    await world.run()
    assert world.ids() == ALL


async def test_a_row_that_names_an_older_run_leads_to_the_pages_that_are_not_delivered():
    world = await mined(await started())
    world.broker.ready.clear()
    await world.services.open_runs.add(OpenRun(KEY, "20200101T000000Z-old", world.clock.now()))
    assert (await world.reconcile_now()).facts == {"delivery_woken": 1}
    await world.run()
    assert world.ids() == ALL
    assert (await world.reconcile_now()).facts == {"closed": 1}


async def test_a_row_that_was_taken_by_a_new_run_is_not_closed_for_the_old_one():
    """The new run wrote its row between the reconciler's read and its removal: the ETag says so."""
    world = await started()
    await world.run()
    world.streams.meanwhile = lambda: world.services.open_runs.add(OpenRun(KEY, "next", world.clock.now()))
    assert (await world.reconcile()).facts == {"moving": 1}
    assert [each.run for each in await open_runs(world)] == ["next"]


async def test_a_parked_run_is_closed_when_it_is_delivered_and_opened_when_it_goes_on():
    world = await started()
    await world.mine_page()
    await park(await world.checkpoint(), "rejected", ErrorKind.REJECTED, "no", world.services)
    await world.run()
    await world.reconcile_now()
    assert await open_runs(world) == []
    await world.resume()
    assert len(await open_runs(world)) == 1
    await world.run()
    assert world.ids() == ALL


async def test_a_row_is_not_taken_from_somebody_who_resumes_the_run_meanwhile():
    """They have written the row and not yet the checkpoint: they come too late, or the row stays."""
    world = await started()
    await park(await world.checkpoint(), "rejected", ErrorKind.REJECTED, "no", world.services)
    await world.run()
    parked, now = await world.checkpoint(), world.clock.now()
    await world.services.open_runs.add(OpenRun(KEY, parked.run, now))
    assert (await world.reconcile()).facts == {"closed": 1}
    with pytest.raises(Conflict):
        await world.services.checkpoints.replace(parked.resumed(now))


async def test_the_index_of_a_run_that_emits_all_is_dropped_at_its_end():
    world = await started(PIPELINE.rstrip("\n") + "\n    emit: all\n")
    await world.run()
    assert any(key.startswith("seen|") for _, key in world.streams.rows)
    await world.reconcile()
    assert not any(key.startswith("seen|") for _, key in world.streams.rows)


async def test_the_index_of_a_parked_run_is_kept_for_when_it_goes_on():
    """Else a record that moved to a later page would come out a second time."""
    world = await started(PIPELINE.rstrip("\n") + "\n    emit: all\n")
    await world.mine_page()
    await park(await world.checkpoint(), "rejected", ErrorKind.REJECTED, "no", world.services)
    await world.run()
    await world.reconcile_now()
    moved: list[dict[str, object]] = [{"id": number} for number in (9, 8, 0, 1, 2, 3, 4)]
    world.source.respond = pages_of(moved)
    world.cache = SeenCache()  # another instance goes on
    await world.resume()
    await world.run()
    assert world.ids() == [0, 1, 2, 3, 4]


async def test_one_run_that_can_not_be_looked_at_stops_no_other():
    """More than are looked at at once; the broker refuses each of them, and each is tried."""
    names = tuple(f"u{number:02d}" for number in range(AT_ONCE * 2 + 3))
    world = await started(users=names)
    world.broker.ready.clear()
    world.broker.away = True
    assert (await world.reconcile_now()).facts == {"failed": len(names)}
    world.broker.away = False
    assert (await world.reconcile_now()).facts == {"woken": len(names)}
    await world.run(5000)
    assert len(world.lines()) == len(names) * len(RECORDS)


async def test_what_one_minute_has_no_time_for_is_first_in_another(monkeypatch: pytest.MonkeyPatch):
    """Each has time for one run alone; the first of all partitions are woken in as many minutes."""
    monkeypatch.setattr(reconciler, "TIME_BOX", timedelta(seconds=-1))
    world = await started(users=tuple(f"user{number}" for number in range(60)))
    world.broker.ready.clear()
    world.later(minutes=3)
    for _ in range(PARTITIONS):
        world.later(minutes=1)
        await world.reconcile()
    assert len({row.partition for row in world.open_runs.rows.values()}) == PARTITIONS
    assert len(world.broker.ready) == PARTITIONS


async def test_everything_lost_at_once_is_healed():
    """All messages of all queues, again and again."""
    names = ("ann", "bob", "cid")
    world = await started(users=names)
    for _ in range(12):
        for _ in range(2):
            if (message := world.broker.receive()) is not None:
                await world.handle(message)
        world.broker.ready.clear()
        await world.reconcile_now()
    await world.run()
    await world.reconcile_now()
    assert sorted((str(line["_user"]), line["id"]) for line in world.lines()) == [
        (name, number) for name in names for number in ALL
    ]
    assert (await world.checkpoint(StreamKey("social", "posts", "cid"))).state is RunState.DONE
    assert await open_runs(world) == []

"""Committed pages reach the output exactly once, whatever is cut off, repeated or away."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from processors.batches import BatchLimits
from processors.dead_letters import Letter
from processors.delivery import deliver, deliver_stream, next_plan
from shared.adapters.checkpoint_table import LARGEST_ROW, CommittedPage
from shared.adapters.delivery_table import MAX_PAGES
from shared.checkpoint import RunState
from shared.errors import ErrorKind, StorageUnavailable
from shared.messages import WakeUp
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, World

DAY = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
ROOMY = BatchLimits(records=1000, bytes=1_000_000, seconds=60)
RECORDS: list[dict[str, object]] = [{"id": number} for number in range(10)]
IDS = list(range(10))


def page(seq: int, run: str = "run1", slice_: str = "all", at: datetime = DAY, records: int = 10) -> CommittedPage:
    return CommittedPage(run, slice_, seq, at, records, records * 100, b"")


async def mined(world: World, pages: int | None = None) -> WakeUp:
    """A world whose run is mined, so many pages or to its end, and nothing delivered; its delivery wake-up."""
    await world.add_user()
    await world.schedule()
    while (wake_up := world.broker.receive("mine")) is not None:
        await world.handle(wake_up)
        if (await world.checkpoint()).next_seq == pages:
            break
    return (await world.checkpoint()).delivery_wake_up()


@pytest.fixture
async def world() -> World:
    return World(pages_of(RECORDS))


class TestPlans:
    def test_a_plan_is_the_longest_run_of_pages_from_the_front_that_fits(self):
        waiting = [page(seq) for seq in range(5)]
        plan = next_plan(KEY, waiting, BatchLimits(records=35, bytes=1_000_000, seconds=60))
        assert (plan.pages, plan.records) == (3, 30)
        assert (plan.first, plan.last) == (waiting[0].row_key, waiting[2].row_key)
        assert plan.name == "social/posts/date=2026-11-22/run1-all-000000-000002.jsonl"

    @pytest.mark.parametrize(
        ("limits", "pages"),
        [
            (ROOMY, 5),
            (BatchLimits(records=50, bytes=1_000_000, seconds=60), 5),
            (BatchLimits(records=49, bytes=1_000_000, seconds=60), 4),
            (BatchLimits(records=1000, bytes=2000, seconds=60), 2),
            (BatchLimits(records=1, bytes=1, seconds=60), 1),
        ],
    )
    def test_both_limits_count(self, limits: BatchLimits, pages: int):
        """A single page may be over them: it is never divided."""
        assert next_plan(KEY, [page(seq) for seq in range(5)], limits).pages == pages

    def test_an_object_holds_one_day(self):
        """Pages of a run that crosses midnight go to the days they were mined on."""
        waiting = [page(0), page(1), page(2, at=DAY + timedelta(minutes=2)), page(3, at=DAY + timedelta(minutes=3))]
        assert next_plan(KEY, waiting, ROOMY).pages == 2
        later = next_plan(KEY, waiting[2:], ROOMY)
        assert (later.pages, later.name) == (2, "social/posts/date=2026-11-23/run1-all-000002-000003.jsonl")

    @pytest.mark.parametrize("other", [page(1, run="run2"), page(1, slice_="s1")])
    def test_an_object_holds_one_run_and_slice(self, other: CommittedPage):
        assert next_plan(KEY, [page(0), other], ROOMY).pages == 1


async def test_what_is_committed_is_delivered_and_its_pages_are_gone(world: World):
    wake_up = await mined(world)
    outcome = await deliver_stream(wake_up, world.services)
    assert (outcome.what, outcome.facts["records"], outcome.facts["objects"]) == ("delivered", 10, 1)
    assert world.ids() == IDS
    assert not await world.services.checkpoints.has_pages(KEY)
    assert list(world.output.objects) == [
        f"social/posts/date=2026-11-22/{wake_up.run}-all-000000-000004.jsonl",
    ]


async def test_limits_make_several_objects():
    world = World(pages_of(RECORDS), settings={"DELIVERY_RECORDS": "4"})
    outcome = await deliver_stream(await mined(world), world.services)
    assert outcome.facts["objects"] == 3
    assert world.ids() == IDS


async def test_more_pages_than_one_plan_holds_are_all_delivered():
    """A plan's pages are deleted in one transaction, which holds 100 rows."""
    many: list[dict[str, object]] = [{"id": number} for number in range(MAX_PAGES + 30)]
    world = World(pages_of(many, 1), settings={"DELIVERY_RECORDS": "1000"})
    outcome = await deliver_stream(await mined(world), world.services)
    assert outcome.facts["objects"] == 2
    assert world.ids() == list(range(MAX_PAGES + 30))


async def test_nothing_committed_is_nothing_delivered(world: World):
    wake_up = await mined(world)
    await deliver_stream(wake_up, world.services)
    again = await deliver_stream(wake_up, world.services)
    assert (again.what, again.facts["objects"]) == ("delivered", 0)
    assert world.ids() == IDS


async def test_pages_that_are_committed_meanwhile_wait_for_the_next_delivery(world: World):
    wake_up = await mined(world, pages=2)
    await deliver_stream(wake_up, world.services)
    assert world.ids() == [0, 1, 2, 3]
    await world.run()
    assert world.ids() == IDS


@pytest.mark.parametrize("cut_off", range(4))
@pytest.mark.parametrize("answered", [True, False])
async def test_cut_off_after_any_step_it_neither_loses_nor_doubles(world: World, cut_off: int, answered: bool):
    """Storage goes away before a write, or does it and loses the answer: the redelivered wake-up heals it."""
    wake_up = await mined(world)
    world.streams.cut_off(writes=cut_off, answered=answered)
    with_trouble = False
    try:
        await deliver_stream(wake_up, world.services)
    except StorageUnavailable:
        with_trouble = True
    world.streams.mend()
    await deliver_stream(wake_up, world.services)
    assert with_trouble == (cut_off < 2)  # the plan, and the mark
    assert world.ids() == IDS
    assert not await world.services.checkpoints.has_pages(KEY)


async def test_cut_off_between_writing_and_marking_the_same_object_counts_as_written(world: World):
    """More is committed before the retry, and the retry still carries out the old plan first."""
    wake_up = await mined(world, pages=2)
    world.streams.cut_off(writes=1, answered=False)
    with pytest.raises(StorageUnavailable):
        await deliver_stream(wake_up, world.services)
    world.streams.mend()
    assert world.ids() == [0, 1, 2, 3]
    written = dict(world.output.objects)
    await world.run()
    assert world.ids() == IDS
    assert {name: world.output.objects[name] for name in written} == written


async def test_two_deliveries_at_once_write_each_record_once(world: World):
    """The second starts while the first is between its plan and its object."""
    wake_up = await mined(world)

    async def second() -> None:
        await deliver_stream(wake_up, world.services)

    world.output.meanwhile = second
    await deliver_stream(wake_up, world.services)
    assert world.output.meanwhile is None
    assert world.ids() == IDS
    assert not await world.services.checkpoints.has_pages(KEY)


async def test_an_output_that_is_away_stops_no_mining_and_gets_everything_in_the_end(world: World):
    world.output.away = True
    await world.add_user()
    await world.schedule()
    for _ in range(40):
        if (message := world.broker.receive()) is not None:
            await world.handle(message)
        elif (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
    assert (await world.checkpoint()).state is RunState.DONE
    delivery = await world.services.deliveries.read(KEY)
    assert delivery.failures > 3
    assert delivery.last_error == "the output is away"
    assert world.output.objects == {}
    world.output.away = False
    await world.run()
    assert world.ids() == IDS
    assert (await world.services.deliveries.read(KEY)).failures == 0


async def test_a_failing_output_is_asked_less_and_less_often_and_never_given_up(world: World):
    wake_up = await mined(world)
    world.output.away = True
    seconds = []
    for _ in range(20):
        outcome = await deliver_stream(wake_up, world.services)
        seconds.append(outcome.facts["seconds"])
        world.later(seconds=outcome.facts["seconds"])
    assert seconds[:12] == sorted(seconds[:12])
    assert max(seconds) <= 300
    assert seconds[-1] == 300


async def test_two_deliveries_that_meet_the_same_outage_both_come_back(world: World):
    """The second writes between the first one's look and its writing."""
    wake_up = await mined(world)
    world.output.away = True

    async def other_comes_back() -> None:
        delivery = await world.services.deliveries.read(KEY)
        await world.services.deliveries.write(delivery.failed(world.clock.now(), ErrorKind.TEMPORARY, "away"))

    async def in_between() -> None:
        world.streams.meanwhile = other_comes_back

    world.output.meanwhile = in_between
    outcome = await deliver_stream(wake_up, world.services)
    assert (outcome.what, outcome.facts["failures"]) == ("postponed", 2)
    world.output.away = False
    await world.run()
    assert world.ids() == IDS


async def test_while_a_failed_delivery_waits_other_wake_ups_do_nothing(world: World):
    """A page a second must not mean a failing call a second."""
    wake_up = await mined(world)
    world.output.away = True
    for _ in range(4):
        await deliver_stream(wake_up.model_copy(update={"attempt": 99}), world.services)
    world.output.away = False
    assert (await deliver_stream(wake_up, world.services)).what == "waiting"
    assert world.output.objects == {}
    await world.run()
    assert world.ids() == IDS


async def bulky_world() -> World:
    """Pages that do not fit a row, even compressed."""
    noise = "".join(json.dumps(n**7) for n in range(60_000))
    records: list[dict[str, object]] = [{"id": number, "noise": noise[number:]} for number in range(4)]

    def respond(call: Call):
        start = int(call.query("after", "0"))
        body = {"data": records[start : start + 2], "next": "2" if start == 0 else None}
        return answer(body)

    return World(respond)


async def test_a_page_in_a_blob_is_delivered_and_the_blob_is_gone():
    world = await bulky_world()
    wake_up = await mined(world)
    assert len(world.pages.objects) == 2
    assert all(len(blob) > LARGEST_ROW for blob in world.pages.objects.values())
    await deliver_stream(wake_up, world.services)
    assert world.ids() == [0, 1, 2, 3]
    assert world.pages.objects == {}


async def test_blobs_that_could_not_be_deleted_do_no_harm():
    """They are named by content: the next run's pages get names of their own."""
    world = await bulky_world()
    wake_up = await mined(world)
    kept = dict(world.pages.objects)
    await deliver_stream(wake_up, world.services)
    world.pages.objects |= kept
    await deliver_stream(wake_up, world.services)
    assert world.ids() == [0, 1, 2, 3]


async def test_a_plan_whose_page_is_lost_is_told_and_does_not_spin():
    """Nothing of ours loses one; if somebody deletes the blob by hand, the evidence shows it and others go on."""
    world = await bulky_world()
    wake_up = await mined(world)
    world.pages.objects.clear()
    outcome = await deliver_stream(wake_up, world.services)
    assert outcome.what == "postponed"
    assert "pages of this plan are missing" in (await world.services.deliveries.read(KEY)).last_error


async def test_delivery_that_takes_too_long_goes_on_in_another_message():
    world = World(pages_of(RECORDS), settings={"DELIVERY_RECORDS": "1"})
    wake_up = await mined(world)

    async def slow() -> None:
        world.later(seconds=10)
        world.output.meanwhile = slow

    world.output.meanwhile = slow
    await deliver_stream(wake_up, world.services)
    assert 0 < len(world.output.objects) < 5
    await world.run()
    assert world.ids() == IDS


async def test_a_message_that_is_no_wake_up_is_parked_with_its_bytes(world: World):
    outcome = await deliver(Letter("deliver", b"\xff nonsense", "id-1"), world.services)
    assert outcome.what == "parked"
    (parked,) = [each async for each in world.services.parked.all()]
    assert (parked.body, parked.queue, parked.reason) == (b"\xff nonsense", "deliver", "malformed")

"""Each output has batches of its own size and patience, and the patient ones hold nothing back for good."""

from datetime import UTC, datetime, timedelta

import pytest

from processors.batches import BatchLimits, first_reached, limits_of, ripe_at
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.delivery_table import MAX_PAGES
from shared.checkpoint import RunState
from shared.errors import StorageUnavailable
from shared.pipeline.responses import Response
from shared.pipeline.spec import JsonLines, ServiceBusMessages
from shared.settings import Settings
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, PIPELINE, World

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SETTINGS = Settings.read({"SERVICE_BUS": "bus", "STORAGE": "storage"})
RECORDS: list[dict[str, object]] = [{"id": number} for number in range(60)]
SECOND = "file:///second"
PATIENT = (
    PIPELINE
    + f"""
outputs:
  - {{ type: json_lines, batch_seconds: 10 }}
  - {{ type: json_lines, to: "{SECOND}", batch_seconds: 600, batch_records: 1000 }}
"""
)
IMPATIENT = PIPELINE + "outputs: [{ type: json_lines, batch_seconds: 5 }]\n"


def page(seq: int, seconds_ago: float = 0, records: int = 10) -> CommittedPage:
    return CommittedPage("run1", "all", seq, NOW - timedelta(seconds=seconds_ago), records, records * 100, b"")


def slow(seconds: float) -> World:
    """A source that has a page every so many seconds."""
    answered = pages_of(RECORDS)

    def respond(call: Call) -> Response:
        world.later(seconds=seconds)
        return answered(call)

    world = World(respond, PATIENT)
    return world


def test_an_output_that_says_nothing_goes_by_the_settings():
    usual = BatchLimits(SETTINGS.delivery_records, SETTINGS.delivery_bytes, SETTINGS.delivery_seconds)
    assert limits_of(JsonLines(type="json_lines"), SETTINGS) == usual
    assert limits_of(ServiceBusMessages(type="service_bus", queue="q"), SETTINGS) == usual


def test_what_an_output_says_counts_and_the_first_to_be_full_wakes_them_all():
    many = JsonLines(type="json_lines", batch_records=5000, batch_seconds=0)
    large = JsonLines(type="json_lines", batch_bytes=9, batch_seconds=300)
    sent = ServiceBusMessages(type="service_bus", queue="q", batch_seconds=2.5)
    assert limits_of(many, SETTINGS) == BatchLimits(5000, 5_000_000, 0)
    assert limits_of(sent, SETTINGS) == BatchLimits(1000, 5_000_000, 2.5)
    assert first_reached([many, large, sent], SETTINGS) == BatchLimits(1000, 9, 0)


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [
        ([], 0),
        ([page(0)], 60),
        ([page(0, seconds_ago=20), page(1)], 40),
        ([page(0), page(1, seconds_ago=59)], 1),
        ([page(0, seconds_ago=100)], -40),
        ([page(0, seconds_ago=-100)], 60),
        ([page(0, records=60), page(1, records=40)], 0),
        ([page(0, records=99)], 60),
        ([page(number, records=0) for number in range(MAX_PAGES)], 0),
    ],
)
def test_a_batch_is_ripe_when_it_is_full_or_has_waited_long_enough(waiting: list[CommittedPage], seconds: float):
    """Of whose clock is ahead, as if it had just come."""
    assert ripe_at(waiting, BatchLimits(100, 10_000, 60), NOW) == NOW + timedelta(seconds=seconds)


def sizes(objects: MemoryObjects) -> list[int]:
    return [len(data.splitlines()) for _, data in sorted(objects.objects.items())]


async def test_each_output_waits_as_long_as_it_says():
    """A page every eight seconds: the first output has them soon, the second one all together."""
    world = slow(8)
    await world.add_user()
    await world.schedule()
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE
    assert sum(sizes(world.output)) == sum(sizes(world.places[SECOND])) == 60
    assert len(sizes(world.output)) > 8
    assert sizes(world.places[SECOND]) == [60]
    assert not await world.services.checkpoints.has_pages(KEY)


async def test_a_patient_output_gets_its_records_in_time_though_the_run_goes_on():
    """The source stands still for an hour after three pages."""
    answered = pages_of(RECORDS)
    world = World(lambda call: answered(call) if call.query("after", "0") < "6" else stop(), PATIENT)

    def stop() -> Response:
        return answer({}, 429, retry_after="3600")

    await world.add_user()
    await world.schedule()
    while world.clock.now() < NOW + timedelta(seconds=30 + 605):
        if (message := world.broker.receive()) is not None:
            await world.handle(message)
        elif (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
    assert (await world.checkpoint()).is_open
    assert sizes(world.output) == [6]
    assert sizes(world.places[SECOND]) == [6]


async def test_a_patient_output_asks_once_to_be_come_back_for():
    """However often the others are delivered meanwhile."""
    world = slow(8)
    await world.add_user()
    await world.schedule()
    for _ in range(60):
        if (message := world.broker.receive()) is not None:
            await world.handle(message)
        elif (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
    comes_back = [sent for sent in world.broker.sent if sent.at and (sent.at - world.clock.now()).total_seconds() > 200]
    assert len(comes_back) == 1


@pytest.mark.parametrize("cut_off", range(16))
@pytest.mark.parametrize("answered", [True, False])
async def test_cut_off_anywhere_neither_output_loses_or_doubles(cut_off: int, answered: bool):
    world = slow(8)
    await world.add_user()
    await world.schedule()
    for _ in range(8):
        await world.mine_page()
    world.streams.cut_off(writes=cut_off, answered=answered)
    for _ in range(12):
        message = world.broker.receive()
        if message is None and (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
        elif message is not None:
            try:
                await world.handle(message)
            except StorageUnavailable:
                break
    world.streams.mend()
    await world.run()
    assert sum(sizes(world.output)) == sum(sizes(world.places[SECOND])) == 60
    assert not await world.services.checkpoints.has_pages(KEY)


async def test_a_single_output_is_flushed_as_often_as_it_says():
    world = World(pages_of(RECORDS), IMPATIENT)
    await world.add_user()
    await world.schedule()
    await world.mine_page()
    (wake_up,) = world.broker.waiting("deliver")
    assert wake_up.at == world.clock.now() + timedelta(seconds=5)

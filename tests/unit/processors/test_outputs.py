"""With several outputs each gets every committed record once, and one that fails holds up none of the others."""

import gzip
import json
from dataclasses import replace

import pytest

from processors.delivery import deliver_stream
from shared.adapters import delivery_table
from shared.adapters.delivery_table import Plan, Progress
from shared.checkpoint import RunState
from shared.errors import StorageUnavailable
from shared.messages import WakeUp
from shared.pipeline.loader import load_text
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import KEY, PIPELINE, World

RECORDS: list[dict[str, object]] = [{"id": number, "kind": "even" if number % 2 == 0 else None} for number in range(10)]
IDS = list(range(10))
TWO = """
outputs:
  - { type: json_lines }
  - { type: json_lines, to: "file:///second", compression: gzip, partition_by: [user, record.kind], batch_records: 4 }
"""
SECOND = "file:///second"


@pytest.fixture
def world() -> World:
    return World(pages_of(RECORDS), PIPELINE + TWO)


async def mined(world: World, pages: int | None = None) -> WakeUp:
    await world.add_user()
    await world.schedule()
    while (wake_up := world.broker.receive("mine")) is not None:
        await world.handle(wake_up)
        if (await world.checkpoint()).next_seq == pages:
            break
    return (await world.checkpoint()).delivery_wake_up()


def ids(objects: MemoryObjects) -> list[int]:
    plain = [gzip.decompress(data) if name.endswith(".gz") else data for name, data in objects.objects.items()]
    return sorted(json.loads(line)["id"] for data in plain for line in data.splitlines())


def with_outputs(world: World, text: str) -> None:
    world.services.pipelines["social"] = load_text(PIPELINE + text, "pipeline.yaml")


async def test_every_output_gets_everything_in_its_own_shape(world: World):
    wake_up = await mined(world)
    await deliver_stream(wake_up, world.services)
    assert ids(world.output) == ids(world.places[SECOND]) == IDS
    assert list(world.output.objects) == [f"social/posts/date=2026-11-22/{wake_up.run}-all-000000-000004.jsonl"]
    assert sorted(world.places[SECOND].objects)[:2] == [
        f"social/posts/user=ann/kind=__null__/{wake_up.run}-all-000000-000001.jsonl.gz",
        f"social/posts/user=ann/kind=__null__/{wake_up.run}-all-000002-000003.jsonl.gz",
    ]
    assert not await world.services.checkpoints.has_pages(KEY)
    delivery = await world.services.deliveries.read(KEY)
    assert (delivery.outputs, delivery.records) == ({}, 10)


@pytest.mark.parametrize("second_fails", [True, False])
async def test_while_one_output_is_away_the_other_gets_everything(world: World, second_fails: bool):
    away, well = world.places[SECOND], world.output
    if not second_fails:
        away, well = well, away
    away.away = True
    await world.add_user()
    await world.schedule()
    for _ in range(40):
        if (message := world.broker.receive()) is not None:
            await world.handle(message)
        elif (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
    assert (await world.checkpoint()).state is RunState.DONE
    assert (ids(well), ids(away)) == (IDS, [])
    assert await world.services.checkpoints.has_pages(KEY)
    away.away = False
    await world.run()
    assert ids(well) == ids(away) == IDS
    assert not await world.services.checkpoints.has_pages(KEY)
    delivery = await world.services.deliveries.read(KEY)
    assert (delivery.failures, delivery.outputs) == (0, {})


async def test_while_one_output_waits_a_new_page_goes_to_the_other_at_once(world: World):
    world.places[SECOND].away = True
    wake_up = await mined(world, pages=2)
    for _ in range(4):
        assert (await deliver_stream(wake_up.model_copy(update={"attempt": 99}), world.services)).what == "postponed"
    failures = (await world.services.deliveries.read(KEY)).failures
    while (message := world.broker.receive("mine")) is not None:
        await world.handle(message)
    assert (await deliver_stream(wake_up, world.services)).what == "delivered"
    assert ids(world.output) == IDS
    assert (await world.services.deliveries.read(KEY)).failures == failures


@pytest.mark.parametrize("cut_off", range(12))
@pytest.mark.parametrize("answered", [True, False])
async def test_cut_off_after_any_step_no_output_loses_or_doubles(world: World, cut_off: int, answered: bool):
    wake_up = await mined(world)
    world.streams.cut_off(writes=cut_off, answered=answered)
    try:
        await deliver_stream(wake_up, world.services)
    except StorageUnavailable:
        assert cut_off < 8  # a plan and a mark for each of one and three objects
    else:
        assert cut_off >= 8
    world.streams.mend()
    await deliver_stream(wake_up, world.services)
    assert ids(world.output) == ids(world.places[SECOND]) == IDS
    assert not await world.services.checkpoints.has_pages(KEY)


async def test_an_edit_of_the_file_between_plan_and_object_changes_no_name(world: World):
    """The object of a plan that was cut off is written once, as it was described when it was planned."""
    wake_up = await mined(world)
    world.streams.cut_off(writes=3, answered=False)
    with pytest.raises(StorageUnavailable):
        await deliver_stream(wake_up, world.services)
    world.streams.mend()
    with_outputs(world, TWO.replace("gzip", "none"))
    await deliver_stream(wake_up, world.services)
    assert ids(world.places[SECOND]) == IDS


async def test_pages_that_only_an_output_without_a_future_lacked_are_forgotten(world: World):
    world.places[SECOND].away = True
    wake_up = await mined(world)
    await deliver_stream(wake_up, world.services)
    with_outputs(world, "")
    await deliver_stream(wake_up.model_copy(update={"attempt": 1}), world.services)
    assert ids(world.output) == IDS
    assert not await world.services.checkpoints.has_pages(KEY)
    assert (await world.services.deliveries.read(KEY)).outputs == {}


async def test_an_output_that_is_far_ahead_waits_for_the_others(world: World, monkeypatch: pytest.MonkeyPatch):
    """One property of a row has room for so many slices; nothing is lost by waiting."""
    monkeypatch.setattr("processors.delivery.MOST_AHEAD", 1)
    with_outputs(world, TWO.replace("{ type: json_lines }", "{ type: json_lines, batch_records: 4 }"))
    world.places[SECOND].away = True
    await mined(world, pages=2)
    await deliver_stream((await world.checkpoint()).delivery_wake_up(), world.services)
    assert ids(world.output) == [0, 1, 2, 3]
    while (message := world.broker.receive("mine")) is not None:
        await world.handle(message)
    await deliver_stream((await world.checkpoint()).delivery_wake_up(), world.services)
    assert ids(world.output) == [0, 1, 2, 3]
    world.places[SECOND].away = False
    await world.run()
    assert ids(world.output) == ids(world.places[SECOND]) == IDS


async def test_a_plan_of_the_time_before_several_outputs_is_carried_out(world: World):
    with_outputs(world, "")
    wake_up = await mined(world)
    waiting = await world.services.deliveries.waiting(KEY)
    plan = Plan("social/posts/date=2026-11-22/old.jsonl", waiting[0].row_key, waiting[-1].row_key, 5, 10)
    planned = (await world.services.deliveries.read(KEY)).planned(plan)
    await world.services.deliveries.write(planned)
    (row,) = [row for row in world.streams.rows.values() if row.key == "delivery"]
    columns = {f"plan_{name}": getattr(plan, name) for name in ("name", "first", "last", "pages", "records")}
    values = {name: value for name, value in row.values.items() if name != "outputs"}
    world.streams.rows[row.partition, row.key] = replace(row, values=values | columns)
    assert (await world.services.deliveries.read(KEY)).outputs == {delivery_table.ONLY: Progress(plan)}
    await deliver_stream(wake_up, world.services)
    assert list(world.output.objects) == [plan.name]
    assert ids(world.output) == IDS

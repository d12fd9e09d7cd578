"""Records go out as messages whose ids tell what comes again; one that is too large is kept and shown."""

import gzip
import json
import random

import pytest

from processors.delivery import deliver_stream
from processors.output_messages import LARGEST_BODY
from shared.adapters.service_bus import Outgoing
from shared.errors import BadInput, StorageUnavailable
from shared.messages import WakeUp
from shared.pipeline.loader import load_text
from shared.services import open_services
from shared.settings import Settings
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import KEY, PIPELINE, World

EVENTS = "outputs: [{ type: service_bus, queue: events, batch: 2, compress_above: 500 }, { type: json_lines }]\n"
NOISE = random.Random(1).randbytes(LARGEST_BODY).hex() + random.Random(2).randbytes(LARGEST_BODY).hex()


def world_of(records: list[dict[str, object]]) -> World:
    return World(pages_of(records, 3), PIPELINE + EVENTS)


async def mined(world: World) -> WakeUp:
    await world.add_user()
    await world.schedule()
    while (wake_up := world.broker.receive("mine")) is not None:
        await world.handle(wake_up)
    return (await world.checkpoint()).delivery_wake_up()


def sent(world: World) -> list[Outgoing]:
    return [message for message in world.broker.sent if message.queue == "events"]


def records_in(message: Outgoing) -> list[dict[str, object]]:
    packed = dict(message.properties).get("content_encoding") == "gzip"
    return [json.loads(line) for line in (gzip.decompress(message.body) if packed else message.body).splitlines()]


async def test_every_record_is_in_a_message_with_an_id_of_its_page():
    world = world_of([{"id": number} for number in range(4)])
    wake_up = await mined(world)
    await deliver_stream(wake_up, world.services)
    assert [message.message_id for message in sent(world)] == [
        f"records/{wake_up.run}/all/{page}" for page in ("0/0", "0/1", "1/0")
    ]
    assert [record["id"] for message in sent(world) for record in records_in(message)] == [0, 1, 2, 3]
    assert world.ids() == [0, 1, 2, 3]


async def test_what_is_sent_again_is_the_same_message():
    world = world_of([{"id": number, "text": "x" * 600} for number in range(4)])
    wake_up = await mined(world)
    world.streams.cut_off(writes=1, answered=True)
    with pytest.raises(StorageUnavailable):
        await deliver_stream(wake_up, world.services)
    world.streams.mend()
    first = sent(world)
    await deliver_stream(wake_up, world.services)
    assert sent(world) == first + first
    assert all(dict(message.properties)["content_encoding"] == "gzip" for message in first)


async def test_a_broker_that_is_away_keeps_nothing_from_the_other_output():
    world = world_of([{"id": number} for number in range(4)])
    wake_up = await mined(world)
    real = world.broker.send

    async def refuse_events(messages: list[Outgoing]) -> None:
        world.broker.away = any(message.queue == "events" for message in messages)
        try:
            await real(messages)
        finally:
            world.broker.away = False

    world.broker.send = refuse_events  # type: ignore[method-assign]  # one queue is away
    assert (await deliver_stream(wake_up, world.services)).what == "postponed"
    assert (world.ids(), sent(world)) == ([0, 1, 2, 3], [])
    world.broker.send = real  # type: ignore[method-assign]  # and is back
    await deliver_stream(wake_up.model_copy(update={"attempt": 9}), world.services)
    assert [record["id"] for message in sent(world) for record in records_in(message)] == [0, 1, 2, 3]
    assert world.ids() == [0, 1, 2, 3]


async def test_a_record_that_no_message_holds_is_kept_and_shown_and_the_rest_is_sent():
    world = world_of([{"id": 0}, {"id": 1, "noise": NOISE}, {"id": 2}])
    await deliver_stream(await mined(world), world.services)
    assert [record["id"] for message in sent(world) for record in records_in(message)] == [0, 2]
    (parked,) = [each async for each in world.services.parked.all()]
    (kept,) = [name for name in world.output.objects if name.startswith("_too_large/social/posts/")]
    assert json.loads(world.output.objects[kept])["id"] == 1
    assert kept in parked.error
    assert parked.reason == "rejected"
    assert WakeUp.decode(parked.body).key == KEY


async def test_the_queues_of_wake_ups_are_no_outputs():
    settings = Settings.read({"SERVICE_BUS": "bus", "STORAGE": "storage"})
    pipeline = load_text(PIPELINE + "outputs: [{ type: service_bus, queue: mine }]\n", "pipeline.yaml")
    with pytest.raises(BadInput, match="found queue 'mine', allowed: one that is not the app's"):
        await open_services(settings, {"social": pipeline})

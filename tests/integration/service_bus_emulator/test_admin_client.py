"""The unmodified admin client, asyncio and synchronous, over plain HTTP on the port of the queues."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import AioHttpTransport, RequestsTransport
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio.management import ServiceBusAdministrationClient as AsyncAdmin
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import ServiceBusAdministrationClient


class PlainHttp(RequestsTransport):
    """The client always builds https:// addresses; the emulator speaks http."""

    def send(self, request, **options):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


class PlainAioHttp(AioHttpTransport):
    async def send(self, request, **options):
        request.url = request.url.replace("https://", "http://", 1)
        return await super().send(request, **options)


@pytest.fixture(scope="module")
def admin(service_bus):
    with ServiceBusAdministrationClient.from_connection_string(service_bus, transport=PlainHttp()) as client:
        yield client


def test_a_queue_is_made_read_changed_and_deleted(admin):
    made = admin.create_queue(
        "made", lock_duration=timedelta(seconds=45), max_delivery_count=7, requires_duplicate_detection=True
    )
    assert (made.name, made.lock_duration, made.max_delivery_count) == ("made", timedelta(seconds=45), 7)
    with pytest.raises(ResourceExistsError):
        admin.create_queue("made")

    made.max_delivery_count = 3
    admin.update_queue(made)
    assert admin.get_queue("made").max_delivery_count == 3

    assert "made" in [queue.name for queue in admin.list_queues()]
    admin.delete_queue("made")
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue("made")
    with pytest.raises(ResourceNotFoundError):
        admin.delete_queue("made")


@pytest.mark.asyncio(loop_scope="module")
async def test_runtime_counts_are_those_of_the_queue(service_bus, bus, queue):
    sender, receiver = bus.sender(queue), bus.receiver(queue)
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(4)])
    await sender.schedule_messages(ServiceBusMessage("later"), datetime.now(UTC) + timedelta(hours=1))
    (dead,) = await receiver.receive_messages(1, max_wait_time=20)
    await receiver.dead_letter_message(dead)

    async with AsyncAdmin.from_connection_string(service_bus, transport=PlainAioHttp()) as admin:
        counts = await admin.get_queue_runtime_properties(queue)

    assert (counts.active_message_count, counts.dead_letter_message_count) == (3, 1)
    assert (counts.scheduled_message_count, counts.total_message_count) == (1, 5)
    assert counts.size_in_bytes > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_queue_made_by_the_admin_client_works_at_once_and_dies_with_its_receivers(admin, bus):
    admin.create_queue("brief-life")
    await bus.sender("brief-life").send_messages(ServiceBusMessage("x"))
    receiver = bus.receiver("brief-life")
    assert len(await receiver.receive_messages(1, max_wait_time=20)) == 1
    admin.delete_queue("brief-life")

    with pytest.raises(ServiceBusError):
        await bus.receiver("brief-life", sub_queue=ServiceBusSubQueue.DEAD_LETTER).receive_messages(1, max_wait_time=1)

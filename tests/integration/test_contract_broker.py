"""What a Broker promises, on the fakes and on the Service Bus emulator through the unmodified SDK."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

from shared.adapters.service_bus import Broker, Outgoing, ServiceBus
from shared.errors import BrokerUnavailable
from tests.fakes.memory_broker import MAX_DELIVERIES, Clock, Delivered, MemoryBroker
from tests.simulation.broker import Message, SimulatedBroker

pytestmark = [pytest.mark.stand_ins, pytest.mark.asyncio(loop_scope="module")]

QUEUE, OTHER = "mine-low", "deliver"
PATIENCE = 60.0
DEAD = f"{QUEUE}/$deadletterqueue"


class Receipt(Protocol):
    """A message under lock."""

    id: str
    body: bytes
    deliveries: int

    async def complete(self) -> None: ...

    async def abandon(self) -> None: ...


class Queues(Protocol):
    """A broker and the other side of it."""

    broker: Broker

    def now(self) -> datetime: ...

    async def receive(self, queue: str = QUEUE) -> Receipt:
        """The next message; fails the test if none comes."""
        ...


class MemoryReceipt:
    def __init__(self, delivered: Delivered):
        self.id, self.body = delivered.message.message_id, delivered.message.body
        self.deliveries, self._delivered = delivered.deliveries, delivered

    async def complete(self) -> None:
        self._delivered.complete()

    async def abandon(self) -> None:
        self._delivered.abandon()


class MemoryQueues:
    def __init__(self) -> None:
        self.clock = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))
        self.broker = MemoryBroker(self.clock)

    def now(self) -> datetime:
        return self.clock.now()

    async def receive(self, queue: str = QUEUE) -> Receipt:
        if queue == DEAD:
            dead = self.broker.dead_letters.pop(0)
            return MemoryReceipt(Delivered(self.broker, dead, -1, MAX_DELIVERIES))
        if (delivered := self.broker.receive(queue)) is None:
            due = self.broker.next_due()
            assert due is not None, "no message, and none to come"
            self.clock.pass_to(due)
            delivered = self.broker.receive(queue)
        assert delivered is not None
        return MemoryReceipt(delivered)


class InOrder(random.Random):
    """Of what is available, always the oldest: in a simulation any may come."""

    def randrange(self, *_: object) -> int:
        return 0


class SimulatedReceipt:
    def __init__(self, broker: SimulatedBroker, message: Message):
        self.id, self.body = message.outgoing.message_id, message.outgoing.body
        self.deliveries, self._lock = message.deliveries, message.lock
        self._broker, self._message = broker, message

    async def complete(self) -> None:
        self._broker.complete(self._message, self._lock)

    async def abandon(self) -> None:
        self._broker.abandon(self._message, self._lock)


class SimulatedQueues:
    def __init__(self) -> None:
        self.clock = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))
        self.broker = SimulatedBroker(InOrder(), self.clock.now)

    def now(self) -> datetime:
        return self.clock.now()

    async def receive(self, queue: str = QUEUE) -> Receipt:
        message = self.broker.receive(queue)
        if message is None:
            due = self.broker.next_event()
            assert due is not None, "no message, and none to come"
            self.clock.pass_to(due)
            message = self.broker.receive(queue)
        assert message is not None
        return SimulatedReceipt(self.broker, message)


class BusReceipt:
    def __init__(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage):
        self.id, self.body = str(message.message_id), b"".join(message.body)
        self.deliveries = (message.delivery_count or 0) + 1
        self._receiver, self._message = receiver, message

    async def complete(self) -> None:
        await self._receiver.complete_message(self._message)

    async def abandon(self) -> None:
        await self._receiver.abandon_message(self._message)


class BusQueues:
    """Tests share the queues: each completes what it sent, or leaves it scheduled for long after."""

    def __init__(self, connection: str):
        self.broker = ServiceBus.from_connection(connection)
        self._client = ServiceBusClient.from_connection_string(connection)
        self._receivers: dict[str, ServiceBusReceiver] = {}

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def receive(self, queue: str = QUEUE) -> Receipt:
        receiver = self._receiver(queue)
        messages = await receiver.receive_messages(1, max_wait_time=PATIENCE)
        assert messages, f"no message within {PATIENCE} s"
        return BusReceipt(receiver, messages[0])

    async def close(self) -> None:
        for receiver in self._receivers.values():
            await receiver.close()
        await self._client.close()
        await self.broker.close()

    def _receiver(self, queue: str) -> ServiceBusReceiver:
        if queue not in self._receivers:
            name, _, sub = queue.partition("/")
            self._receivers[queue] = self._client.get_queue_receiver(
                name, sub_queue=ServiceBusSubQueue.DEAD_LETTER if sub else None
            )
        return self._receivers[queue]


@pytest_asyncio.fixture(params=["memory", "simulated", "emulator"], scope="module", loop_scope="module")
async def queues(request: pytest.FixtureRequest) -> AsyncIterator[Queues]:
    if request.param != "emulator":
        yield MemoryQueues() if request.param == "memory" else SimulatedQueues()
        return
    queues = BusQueues(request.getfixturevalue("broker"))
    yield queues
    await queues.close()


def outgoing(name: str = "", queue: str = QUEUE, at: datetime | None = None, body: bytes = b"{}") -> Outgoing:
    """`name` is made unique: duplicate detection remembers those of other tests."""
    return Outgoing(queue, body, f"{name}-{secrets.token_hex(8)}", at)


async def received_up_to(queues: Queues, last: Outgoing) -> list[str]:
    """Ids of all that comes up to and with `last`, completed."""
    ids: list[str] = []
    while not ids or ids[-1] != last.message_id:
        receipt = await queues.receive(last.queue)
        await receipt.complete()
        ids.append(receipt.id)
    return ids


@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)), b"x" * 100_000], ids=len)
async def test_a_message_arrives_as_it_was_sent(queues: Queues, body: bytes):
    sent = outgoing(body=body)
    await queues.broker.send([sent])
    receipt = await queues.receive()
    await receipt.complete()
    assert (receipt.id, receipt.body, receipt.deliveries) == (sent.message_id, body, 1)


async def test_messages_of_one_sender_arrive_in_order(queues: Queues):
    messages = [outgoing(str(number)) for number in range(30)]
    await queues.broker.send(messages[:20])
    await queues.broker.send(messages[20:])
    assert await received_up_to(queues, messages[-1]) == [message.message_id for message in messages]


async def test_messages_for_several_queues_go_to_each(queues: Queues):
    one, other = outgoing("a"), outgoing("b", OTHER)
    await queues.broker.send([one, other])
    assert await received_up_to(queues, other) == [other.message_id]
    assert await received_up_to(queues, one) == [one.message_id]


async def test_many_senders_at_once_all_get_through(queues: Queues):
    """They are gathered into batches; each hears of its own."""
    messages = [outgoing(str(number)) for number in range(200)]
    await asyncio.gather(*(queues.broker.send([message]) for message in messages))
    last = outgoing("last")
    await queues.broker.send([last])
    ids = await received_up_to(queues, last)
    assert sorted(ids[:-1]) == sorted(message.message_id for message in messages)


async def test_more_than_a_batch_holds_is_sent_all_the_same(queues: Queues):
    """A batch of the SDK is at most 256 KB."""
    messages = [outgoing(str(number), body=b"x" * 60_000) for number in range(12)]
    await queues.broker.send(messages)
    assert await received_up_to(queues, messages[-1]) == [message.message_id for message in messages]


async def test_a_message_for_later_comes_at_its_time(queues: Queues):
    at = queues.now() + timedelta(seconds=2)
    later, now = outgoing("later", at=at), outgoing("now")
    await queues.broker.send([later])
    await queues.broker.send([now])
    assert await received_up_to(queues, now) == [now.message_id]
    assert await received_up_to(queues, later) == [later.message_id]
    assert queues.now() >= at - timedelta(seconds=1)


async def test_a_message_whose_time_is_past_comes_at_once(queues: Queues):
    past = outgoing(at=queues.now() - timedelta(hours=1))
    await queues.broker.send([past])
    assert await received_up_to(queues, past) == [past.message_id]


async def test_an_id_that_was_seen_is_dropped_and_answered_as_accepted(queues: Queues):
    """Within a batch, in a later send, and after the first has been completed."""
    once, last = outgoing("once"), outgoing("last")
    await queues.broker.send([once, once])
    await queues.broker.send([once])
    receipt = await queues.receive()
    await receipt.complete()
    await queues.broker.send([once])
    await queues.broker.send([last])
    assert receipt.id == once.message_id
    assert await received_up_to(queues, last) == [last.message_id]


async def test_a_scheduled_message_counts_for_duplicates_too(queues: Queues):
    """So a deliberate re-send must bear a new id."""
    scheduled = outgoing("once", at=queues.now() + timedelta(hours=1))
    again = Outgoing(QUEUE, b"{}", scheduled.message_id)
    last = outgoing("last")
    await queues.broker.send([scheduled])
    await queues.broker.send([again])
    await queues.broker.send([last])
    assert await received_up_to(queues, last) == [last.message_id]


async def test_one_id_may_be_used_in_two_queues(queues: Queues):
    one = outgoing("same")
    other = Outgoing(OTHER, b"{}", one.message_id)
    await queues.broker.send([one, other])
    assert await received_up_to(queues, one) == [one.message_id]
    assert await received_up_to(queues, other) == [other.message_id]


async def test_what_is_abandoned_comes_again_and_is_counted(queues: Queues):
    sent = outgoing()
    await queues.broker.send([sent])
    for delivery in (1, 2, 3):
        receipt = await queues.receive()
        assert (receipt.id, receipt.deliveries) == (sent.message_id, delivery)
        await receipt.abandon()
    receipt = await queues.receive()
    await receipt.complete()


async def test_after_too_many_deliveries_it_is_a_dead_letter(queues: Queues):
    sent = outgoing(body=b"evidence")
    await queues.broker.send([sent])
    for _ in range(MAX_DELIVERIES):
        receipt = await queues.receive()
        assert receipt.id == sent.message_id
        await receipt.abandon()
    dead = await queues.receive(DEAD)
    assert (dead.id, dead.body) == (sent.message_id, b"evidence")
    await dead.complete()
    last = outgoing("last")
    await queues.broker.send([last])
    assert await received_up_to(queues, last) == [last.message_id]


async def test_sending_nothing_is_fine(queues: Queues):
    await queues.broker.send([])


async def a_closed_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_broker_that_is_away_is_told_to_every_sender():
    """Those that wait for the send that fails as well."""
    memory = MemoryQueues().broker
    memory.away = True
    bus = ServiceBus.from_connection(
        f"Endpoint=sb://127.0.0.1:{await a_closed_port()};SharedAccessKeyName=x;SharedAccessKey=canary;"
        "UseDevelopmentEmulator=true;"
    )
    for broker in (memory, bus):
        async with asyncio.timeout(PATIENCE * 3):
            results = await asyncio.gather(*(broker.send([outgoing()]) for _ in range(5)), return_exceptions=True)
        assert [type(result) for result in results] == [BrokerUnavailable] * 5
        assert "canary" not in str(results)
    await bus.close()

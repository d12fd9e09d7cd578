"""Sending: what is waiting travels together, and every sender hears how it went.

A stand-in for the SDK's client makes failures that no broker makes to order; the same promises against a real broker
are in tests/integration/test_contract_broker.py.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusConnectionError

from shared.adapters.service_bus import Outgoing, ServiceBus
from shared.errors import BrokerUnavailable

LARGEST = 5


@dataclass
class FakeBatch:
    ids: list[str] = field(default_factory=list)

    def add_message(self, message: Any) -> None:
        if len(self.ids) == LARGEST or message.message_id == "giant":
            raise MessageSizeExceededError(message="too large")
        self.ids.append(message.message_id)


@dataclass
class FakeSender:
    """Holds each send until `gate` is open; `failure` is raised instead."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    sent: list[list[str]] = field(default_factory=list)

    async def create_message_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_messages(self, batch: FakeBatch, timeout: float) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.sent.append(batch.ids)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class FakeClient:
    senders: dict[str, FakeSender] = field(default_factory=dict)

    def get_queue_sender(self, queue: str) -> FakeSender:
        return self.senders.setdefault(queue, FakeSender())

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def bus(client: FakeClient) -> ServiceBus:
    return ServiceBus(client)  # type: ignore[arg-type]  # as much of the SDK's client as is used


def outgoing(name: str, queue: str = "mine") -> Outgoing:
    return Outgoing(queue, b"{}", name)


async def all_results(sends: list["asyncio.Task[None]"]) -> list[object]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*sends, return_exceptions=True)


async def under_way(bus: ServiceBus, *batches: list[Outgoing]) -> list["asyncio.Task[None]"]:
    """Sends that have been begun; the first is with the SDK, the others wait for it."""
    sends = []
    for batch in batches:
        sends.append(asyncio.create_task(bus.send(batch)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return sends


async def test_what_waits_for_a_send_travels_together(bus: ServiceBus, client: FakeClient):
    sends = await under_way(bus, *([outgoing(str(number))] for number in range(5)))
    client.senders["mine"].gate.set()
    assert await all_results(sends) == [None] * 5
    assert client.senders["mine"].sent == [["0"], ["1", "2", "3", "4"]]


async def test_more_than_fits_goes_in_several_batches(bus: ServiceBus, client: FakeClient):
    sends = await under_way(bus, [outgoing(str(number)) for number in range(12)])
    client.senders["mine"].gate.set()
    assert await all_results(sends) == [None]
    assert [len(batch) for batch in client.senders["mine"].sent] == [5, 5, 2]


@pytest.mark.parametrize(
    "failure",
    [
        ServiceBusConnectionError(message="gone"),
        ValueError("The handler has already been shutdown."),
        AttributeError("'NoneType' object has no attribute 'transfer'"),
        OSError("reset"),
    ],
)
async def test_a_failure_reaches_every_sender_that_waits(bus: ServiceBus, client: FakeClient, failure: Exception):
    """Whatever the SDK raises: a sender that is not told would wait for ever, and its page with it."""
    sends = await under_way(bus, *([outgoing(str(number))] for number in range(3)))
    client.senders["mine"].failure = failure
    client.senders["mine"].gate.set()
    results = await all_results(sends)
    assert [type(result) for result in results] == [BrokerUnavailable] * 3
    assert str(results[0]) == f"queue mine: {type(failure).__name__}"


async def test_after_a_failure_the_next_send_is_tried(bus: ServiceBus, client: FakeClient):
    sends = await under_way(bus, [outgoing("a")])
    sender = client.senders["mine"]
    sender.failure = ServiceBusConnectionError(message="gone")
    sender.gate.set()
    assert [type(result) for result in await all_results(sends)] == [BrokerUnavailable]
    sender.failure = None
    assert await all_results(await under_way(bus, [outgoing("b")])) == [None]
    assert sender.sent == [["b"]]


async def test_a_message_that_is_too_large_is_a_failure_and_no_hang(bus: ServiceBus, client: FakeClient):
    sends = await under_way(bus, [outgoing("giant")])
    client.senders["mine"].gate.set()
    assert [type(result) for result in await all_results(sends)] == [BrokerUnavailable]


async def test_a_sender_that_is_cancelled_leaves_the_others_alone(bus: ServiceBus, client: FakeClient):
    sends = await under_way(bus, *([outgoing(str(number))] for number in range(3)))
    sends[0].cancel()
    sends[1].cancel()
    client.senders["mine"].gate.set()
    results = await all_results(sends)
    assert results[2] is None
    assert [type(result) for result in results[:2]] == [asyncio.CancelledError] * 2


async def test_each_queue_has_a_sender_of_its_own(bus: ServiceBus, client: FakeClient):
    """A queue that is stuck holds up no other."""
    sends = await under_way(bus, [outgoing("a", "mine"), outgoing("b", "deliver")], [outgoing("c", "deliver")])
    client.senders["deliver"].gate.set()
    async with asyncio.timeout(30):
        await sends[1]
    assert not sends[0].done()
    client.senders["mine"].gate.set()
    assert await all_results(sends) == [None, None]
    assert client.senders["deliver"].sent == [["b"], ["c"]]


async def test_sending_nothing_is_done_at_once(bus: ServiceBus, client: FakeClient):
    await bus.send([])
    assert client.senders == {}


async def test_closing_waits_for_what_is_under_way(bus: ServiceBus, client: FakeClient):
    sends = await under_way(bus, [outgoing("a")])
    closing = asyncio.create_task(bus.close())
    await asyncio.sleep(0)
    client.senders["mine"].gate.set()
    async with asyncio.timeout(30):
        await closing
    assert await all_results(sends) == [None]

"""Sending through Azure Service Bus: one client per process, one sender per queue, kept open.

A sender of the SDK takes one call at a time, so messages that arrive while a call is under way travel together in
the next batch.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from shared.errors import BrokerUnavailable

TIME_TO_LIVE = timedelta(days=14)
SEND_SECONDS = 10.0
RETRIES = 1
"""Within the SDK; what it gives up comes back with the redelivered message, which must not outlast its lock."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message: `at` (UTC) schedules it. `queue` is a topic if `is_topic`."""

    queue: str
    body: bytes
    message_id: str
    at: datetime | None = None
    content_type: str = "application/json"
    properties: tuple[tuple[str, str], ...] = ()
    is_topic: bool = False


class Broker(Protocol):
    """Where wake-ups go out."""

    async def send(self, messages: list[Outgoing]) -> None:
        """Returns when the broker has accepted all. Raises BrokerUnavailable; some may have been accepted."""
        ...

    async def close(self) -> None: ...


class ServiceBus:
    """A Broker over `azure-servicebus`."""

    def __init__(self, client: ServiceBusClient):
        self._client = client
        self._queues: dict[tuple[str, bool], _QueueSender] = {}

    @classmethod
    def from_connection(cls, connection: str) -> "ServiceBus":
        return cls(ServiceBusClient.from_connection_string(connection, retry_total=RETRIES))

    @classmethod
    def from_identity(cls, namespace: str, credential: AsyncTokenCredential) -> "ServiceBus":
        return cls(ServiceBusClient(namespace, credential, retry_total=RETRIES))

    async def send(self, messages: list[Outgoing]) -> None:
        ways = {(message.queue, message.is_topic) for message in messages}
        if len(ways) == 1:
            await self._sender(*ways.pop()).send(messages)
            return
        per_way = [[each for each in messages if (each.queue, each.is_topic) == way] for way in sorted(ways)]
        await asyncio.gather(*(self._sender(batch[0].queue, batch[0].is_topic).send(batch) for batch in per_way))

    async def close(self) -> None:
        for sender in self._queues.values():
            await sender.close()
        await self._client.close()

    def _sender(self, queue: str, is_topic: bool) -> "_QueueSender":
        way = queue, is_topic
        if way not in self._queues:
            opened = self._client.get_topic_sender(queue) if is_topic else self._client.get_queue_sender(queue)
            self._queues[way] = _QueueSender(opened, queue)
        return self._queues[way]


class _QueueSender:
    """Gathers what is waiting while the SDK is busy, and sends it as one batch."""

    def __init__(self, sender: ServiceBusSender, queue: str):
        self._sender = sender
        self._queue = queue
        self._waiting: list[tuple[list[Outgoing], asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def send(self, messages: list[Outgoing]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def close(self) -> None:
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._sender.close()

    async def _flush(self) -> None:
        while self._waiting:
            round_, self._waiting = self._waiting, []
            failure: BrokerUnavailable | None = None
            try:
                await self._send([message for messages, _ in round_ for message in messages])
            except Exception as error:  # noqa: BLE001 - whatever it was, the senders that wait must hear of it
                failure = BrokerUnavailable(f"queue {self._queue}: {type(error).__name__}")
            for _, done in round_:
                if done.done():
                    continue  # its sender was cancelled meanwhile
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)

    async def _send(self, messages: list[Outgoing]) -> None:
        """In as few batches as the size limit of a batch allows."""
        batch: ServiceBusMessageBatch | None = None
        for message in map(_to_sdk, messages):
            if batch is None:
                batch = await self._sender.create_message_batch()
            try:
                batch.add_message(message)
            except ValueError:  # the batch is full
                await self._sender.send_messages(batch, timeout=SEND_SECONDS)
                batch = await self._sender.create_message_batch()
                batch.add_message(message)
        if batch is not None:
            await self._sender.send_messages(batch, timeout=SEND_SECONDS)


def _to_sdk(message: Outgoing) -> ServiceBusMessage:
    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        content_type=message.content_type,
        application_properties=dict(message.properties) or None,
        scheduled_enqueue_time_utc=message.at,
        time_to_live=TIME_TO_LIVE,
    )

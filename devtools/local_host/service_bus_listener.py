"""A Service Bus trigger: peek-lock, complete after success, abandon after a failure, renew the locks meanwhile.

The SDK reads and writes one connection under one lock and reads for up to 0.2 s at a time, whoever asks. A settlement
beside a running receive therefore waits for it, and may take the frame the receive waits for. So one loop per queue
does all: settle what has finished, renew, then receive. It asks for one message at a time, because the SDK holds an
incomplete batch back for another 0.2 s.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ClientAuthenticationError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusError,
)

from devtools.local_host.broker import Broker
from devtools.local_host.errors import HostError
from devtools.local_host.host_json import ServiceBusOptions
from devtools.local_host.trigger_data import TriggerData, message_data
from devtools.local_host.worker_process import Outcome

log = logging.getLogger(__name__)

IDLE_WAIT = 60.0
"""Seconds of one receive while nothing is running: the SDK keeps link and token alive meanwhile."""
BUSY_WAIT = 0.1
"""Seconds of one receive while functions run, whose messages wait for their settlement."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between attempts to reach a broker that is away."""
GONE = (MessageLockLostError, MessageAlreadySettled)
NOT_FOUND = (MessagingEntityNotFoundError, ServiceBusAuthenticationError, ClientAuthenticationError)
AWAY = (ServiceBusError, ClientAuthenticationError, OSError)


@dataclass(frozen=True)
class QueueTrigger:
    """What a function listens to. `written` is the queue as in the binding, which names the setting."""

    function: str
    queue: str
    dead_letters: bool
    binary: bool
    written: str


@dataclass
class Delivery:
    """A message whose function runs, or has run and waits for its settlement."""

    message: ServiceBusReceivedMessage
    renew_at: datetime
    renew_until: datetime
    outcome: Outcome | None = None


class QueueListener:
    """Receives for one function. `invoke` runs it and tells the outcome; `ready` waits for a worker."""

    def __init__(
        self,
        trigger: QueueTrigger,
        broker: Broker,
        options: ServiceBusOptions,
        invoke: Callable[[str, TriggerData], Awaitable[Outcome]],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self.trigger = trigger
        self._broker = broker
        self._options = options
        self._invoke = invoke
        self._ready = ready
        self._deliveries: dict[int, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._receiver = self._new_receiver()
        self._receiving: asyncio.Task[None] | None = None
        self._stopping = False

    def _new_receiver(self) -> ServiceBusReceiver:
        trigger = self.trigger
        return self._broker.receiver(trigger.queue, trigger.dead_letters, self._options.prefetch_count)

    async def open(self) -> None:
        """Open the link; wait for a broker that is away. Raises HostError when the queue is missing there."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._receiver.__aenter__()
            except NOT_FOUND as error:
                raise HostError(self._missing(error)) from None
            except AWAY as error:
                self._broker.went_away(self.trigger.function, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self._broker.is_there(self.trigger.function)
                return

    def _missing(self, error: Exception) -> str:
        trigger, broker = self.trigger, self._broker
        return (
            f"function {trigger.function}: queue {trigger.queue!r} (queueName {trigger.written!r}) is not in the "
            f"Service Bus at {broker.address} (setting {broker.setting}), or the key is refused there "
            f"({type(error).__name__})"
        )

    async def run(self) -> None:
        """Receive until `stop`; then settle what still runs as it finishes."""
        pause = FIRST_PAUSE
        while not self._stopping:
            try:
                await self._turn()
            except AWAY as error:
                self._broker.went_away(self.trigger.function, error)
                await self._wait_for_change(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE
        await self._drain()

    async def _reconnect(self) -> None:
        """Open the link again after an absence: a receive would give it only its own short time."""
        if self._broker.is_missed_by(self.trigger.function):
            await self._receiver.__aenter__()
            self._broker.is_there(self.trigger.function)

    async def _turn(self) -> None:
        self._changed.clear()
        await self._reconnect()
        await self._settle_finished()
        await self._renew_locks()
        if self._running >= self._options.max_concurrent_calls:
            await self._wait_for_change(self._seconds_to_renewal())
            return
        await self._receive()

    @property
    def _running(self) -> int:
        return sum(delivery.outcome is None for delivery in self._deliveries.values())

    async def _receive(self) -> None:
        """Take at most one message. `stop` ends the wait, never between a message and its invocation."""
        self._receiving = asyncio.create_task(self._receive_one())
        try:
            await self._receiving
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._receiving = None

    async def _receive_one(self) -> None:
        await self._ready()
        wait = BUSY_WAIT if self._deliveries else IDLE_WAIT
        for message in await self._receiver.receive_messages(max_message_count=1, max_wait_time=wait):
            self._start(message)

    def _start(self, message: ServiceBusReceivedMessage) -> None:
        now = datetime.now(UTC)
        locked_until = message.locked_until_utc or now
        renew_until = now + timedelta(seconds=self._options.max_auto_lock_renewal)
        delivery = Delivery(message, now + (locked_until - now) / 2, renew_until)
        self._deliveries[id(delivery)] = delivery
        task = asyncio.create_task(self._run(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, delivery: Delivery) -> None:
        try:
            data = message_data(delivery.message, self.trigger.binary)
        except ValueError as error:
            log.error("function %s: message %s: %s", self.trigger.function, delivery.message.message_id, error)
            delivery.outcome = Outcome(error=str(error))
        else:
            delivery.outcome = await self._invoke(self.trigger.function, data)
        self._changed.set()

    async def _settle_finished(self) -> None:
        finished = [key for key, delivery in self._deliveries.items() if delivery.outcome is not None]
        for key in finished:
            await self._settle(self._deliveries[key])
            del self._deliveries[key]

    async def _settle(self, delivery: Delivery) -> None:
        assert delivery.outcome is not None
        succeeded = delivery.outcome.error is None
        settle = self._receiver.complete_message if succeeded else self._receiver.abandon_message
        try:
            await settle(delivery.message)
        except GONE:
            log.warning(
                "function %s: the lock of message %s was lost; it will be delivered again",
                *(self.trigger.function, delivery.message.message_id),
            )

    async def _renew_locks(self) -> None:
        now = datetime.now(UTC)
        for delivery in list(self._deliveries.values()):
            if delivery.renew_at <= now < delivery.renew_until:
                await self._renew(delivery, now)

    async def _renew(self, delivery: Delivery, now: datetime) -> None:
        try:
            locked_until = await self._receiver.renew_message_lock(delivery.message)
        except GONE:
            # The settlement will tell; until then there is nothing left to renew.
            delivery.renew_until = now
        else:
            delivery.renew_at = now + (locked_until - now) / 2

    def _seconds_to_renewal(self) -> float:
        soonest = min((delivery.renew_at for delivery in self._deliveries.values()), default=None)
        return IDLE_WAIT if soonest is None else max(0.05, (soonest - datetime.now(UTC)).total_seconds())

    async def _wait_for_change(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def stop(self) -> None:
        """Receive no more."""
        self._stopping = True
        self._changed.set()
        if self._receiving is not None:
            self._receiving.cancel()

    async def _drain(self) -> None:
        """A broker that is away ends it: the locks run out and the messages are delivered again."""
        while self._deliveries:
            self._changed.clear()
            try:
                await self._settle_finished()
                await self._renew_locks()
            except AWAY as error:
                self._broker.went_away(self.trigger.function, error)
                return
            if self._running:
                await self._wait_for_change(self._seconds_to_renewal())

    async def close(self) -> None:
        await self._receiver.close()

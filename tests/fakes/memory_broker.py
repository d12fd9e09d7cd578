"""An in-memory Broker with the traits of Service Bus that matter: duplicate detection, schedules, redelivery."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.adapters.service_bus import Outgoing
from shared.errors import BrokerUnavailable

MAX_DELIVERIES = 10


@dataclass
class Delivered:
    """A message under lock: `complete` or `abandon` it."""

    broker: "MemoryBroker"
    message: Outgoing
    order: int
    deliveries: int

    def complete(self) -> None:
        self.broker.locked.pop(self.order, None)

    def abandon(self) -> None:
        if self.broker.locked.pop(self.order, None) is None:
            return
        if self.deliveries >= MAX_DELIVERIES:
            self.broker.dead_letters.append(self.message)
        else:
            self.broker.ready.append((self.message, self.order, self.deliveries))


@dataclass
class MemoryBroker:
    """`away` makes sends fail; `lose_next_answer` accepts a send, loses the answer."""

    clock: "Clock"
    window: timedelta = timedelta(minutes=1)
    away: bool = False
    lose_next_answer: bool = False
    ready: list[tuple[Outgoing, int, int]] = field(default_factory=list)
    locked: dict[int, Delivered] = field(default_factory=dict)
    dead_letters: list[Outgoing] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)
    dropped: list[Outgoing] = field(default_factory=list)
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _orders: "itertools.count[int]" = field(default_factory=itertools.count)

    async def send(self, messages: list[Outgoing]) -> None:
        if self.away:
            raise BrokerUnavailable("the broker is away")
        for message in messages:
            self._accept(message)
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise BrokerUnavailable("the answer was lost")

    async def close(self) -> None:
        self.away = True

    def receive(self, queue: str | None = None) -> Delivered | None:
        """The oldest message that is due, under lock."""
        for place, (message, order, deliveries) in enumerate(self.ready):
            due = message.at is None or message.at <= self.clock.now()
            if due and queue in {None, message.queue}:
                del self.ready[place]
                self.locked[order] = Delivered(self, message, order, deliveries + 1)
                return self.locked[order]
        return None

    def waiting(self, queue: str) -> list[Outgoing]:
        """Messages that nobody has taken, oldest first."""
        return [message for message, _, _ in self.ready if message.queue == queue]

    def next_due(self) -> datetime | None:
        """When the next scheduled message is due, if all that is left is scheduled."""
        return min((message.at for message, _, _ in self.ready if message.at is not None), default=None)

    def expire_locks(self) -> None:
        """What happens to the messages of killed workers."""
        for delivered in list(self.locked.values()):
            delivered.abandon()

    def _accept(self, message: Outgoing) -> None:
        self.sent.append(message)
        name = (message.queue, message.message_id)
        last = self._seen.get(name)
        if last is not None and self.clock.now() - last < self.window:
            self.dropped.append(message)
            return
        self._seen[name] = self.clock.now()
        self.ready.append((message, next(self._orders), 0))


@dataclass
class Clock:
    """Time that passes only when told to."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def pass_to(self, moment: datetime) -> None:
        self.moment = max(self.moment, moment)

"""Service Bus in memory and in virtual time: peek-lock with expiry, duplicates, schedules, dead letters, any order."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.adapters.service_bus import Outgoing
from tests.simulation.weather import LOCK_SECONDS

MAX_DELIVERIES = 10
DEAD = "/$deadletterqueue"


@dataclass(eq=False)
class Message:
    """`locked_until` None: available. `queue` ends in DEAD once it is dead."""

    outgoing: Outgoing
    queue: str
    available_at: datetime
    deliveries: int = 0
    locked_until: datetime | None = None
    lock: int = 0


@dataclass
class SimulatedBroker:
    """`duplicate` is the chance that a completed message comes again all the same, as at-least-once allows; `lost`
    that an accepted one never comes, as its expiry does."""

    rng: random.Random
    now: Callable[[], datetime]
    window: timedelta = timedelta(minutes=1)
    duplicate: float = 0.0
    lost: float = 0.0
    messages: list[Message] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _locks: int = 0

    async def send(self, outgoing: list[Outgoing]) -> None:
        for each in outgoing:
            self._accept(each)

    async def close(self) -> None:
        """Nothing is open."""

    def receive(self) -> Message | None:
        """Any available message under a new lock, in no order."""
        self.expire()
        moment = self.now()
        available = [each for each in self.messages if each.locked_until is None and each.available_at <= moment]
        if not available:
            return None
        message = self.rng.choice(available)
        self._locks += 1
        message.lock, message.deliveries = self._locks, message.deliveries + 1
        message.locked_until = moment + timedelta(seconds=LOCK_SECONDS)
        return message

    def complete(self, message: Message, lock: int) -> None:
        if not self._holds(message, lock):
            self.ended["lock lost"] += 1
        elif self.rng.random() < self.duplicate:
            message.locked_until = None
        else:
            self.messages.remove(message)
            message.lock = 0
            self.ended["completed"] += 1

    def abandon(self, message: Message, lock: int) -> None:
        if self._holds(message, lock):
            self._unlock(message)

    def expire(self) -> None:
        moment = self.now()
        for message in self.messages:
            if message.locked_until is not None and message.locked_until <= moment:
                self._unlock(message)

    def next_event(self) -> datetime | None:
        """When a message becomes available by itself."""
        return min((each.locked_until or each.available_at for each in self.messages), default=None)

    def _holds(self, message: Message, lock: int) -> bool:
        self.expire()
        return message.locked_until is not None and message.lock == lock

    def _unlock(self, message: Message) -> None:
        message.locked_until = None
        if message.deliveries >= MAX_DELIVERIES and not message.queue.endswith(DEAD):
            message.queue, message.deliveries = message.queue + DEAD, 0
            self.ended["dead-lettered"] += 1

    def _accept(self, outgoing: Outgoing) -> None:
        self.bodies.append(outgoing.body + outgoing.message_id.encode())
        name, moment = (outgoing.queue, outgoing.message_id), self.now()
        last = self._seen.get(name)
        if last is not None and moment - last < self.window:
            self.ended["dropped as duplicate"] += 1
            return
        self._seen[name] = moment
        if self.rng.random() < self.lost:
            self.ended["lost"] += 1
            return
        self.messages.append(Message(outgoing, outgoing.queue, max(moment, outgoing.at or moment)))

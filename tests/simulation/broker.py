"""Service Bus in memory and in virtual time: peek-lock with expiry, duplicates, schedules, dead letters, any order."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.adapters.service_bus import Outgoing

LOCK_SECONDS = 30.0
WINDOW_SECONDS = 60.0
MAX_DELIVERIES = 10
MOST_OVERTAKEN = 8
"""Of the messages that are available any may come, but none is passed over more often than this."""

DEAD = "/$deadletterqueue"


@dataclass(eq=False)
class Message:
    """`locked_until` None: available. `queue` ends in DEAD once it is dead, for `reason`."""

    outgoing: Outgoing
    queue: str
    available_at: datetime
    free_since: datetime
    deliveries: int = 0
    overtaken: int = 0
    locked_until: datetime | None = None
    lock: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Wait:
    """How long a message was available before somebody took it."""

    outgoing: Outgoing
    since: datetime
    until: datetime


@dataclass
class SimulatedBroker:
    """Chances: `duplicate`, that a completed message comes again all the same, as at-least-once allows; `lost`, that
    an accepted one never comes; `expired`, that its time to live ends before it comes; `late`, that it comes hours
    late. `ring` is called when messages may have become available."""

    rng: random.Random
    now: Callable[[], datetime]
    duplicate: float = 0.0
    lost: float = 0.0
    expired: float = 0.0
    late: float = 0.0
    ring: Callable[[], None] = lambda: None
    messages: list[Message] = field(default_factory=list)
    accepted: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _locks: int = 0

    async def send(self, outgoing: list[Outgoing]) -> None:
        for each in outgoing:
            self._accept(each)
        self.ring()

    async def close(self) -> None:
        """Nothing is open."""

    def available(self, queue: str | None = None) -> list[Message]:
        """Of one queue or of all, the oldest first."""
        self._expire()
        moment = self.now()
        found = [
            each
            for each in self.messages
            if each.locked_until is None and each.available_at <= moment and queue in {None, each.queue}
        ]
        return sorted(found, key=lambda each: each.available_at)

    def receive(self, queue: str | None = None) -> Message | None:
        """An available message under a new lock."""
        available = self.available(queue)
        if not available:
            return None
        impatient = (place for place, each in enumerate(available) if each.overtaken >= MOST_OVERTAKEN)
        chosen = next(impatient, None)
        if chosen is None:
            chosen = self.rng.randrange(len(available))
        for each in available[:chosen]:
            each.overtaken += 1
        message, moment = available[chosen], self.now()
        self.waits.append(Wait(message.outgoing, message.free_since, moment))
        self._locks += 1
        message.lock, message.deliveries, message.overtaken = self._locks, message.deliveries + 1, 0
        message.locked_until = moment + timedelta(seconds=LOCK_SECONDS)
        return message

    def complete(self, message: Message, lock: int) -> None:
        if not self.holds(message, lock):
            self.ended["lock lost"] += 1
        elif self.rng.random() < self.duplicate:
            self.ended["repeated"] += 1
            self._unlock(message)
        else:
            self.messages.remove(message)
            message.lock = 0
            self.ended["completed"] += 1
        self.ring()

    def abandon(self, message: Message, lock: int) -> None:
        if self.holds(message, lock):
            self._unlock(message)
        self.ring()

    def holds(self, message: Message, lock: int) -> bool:
        self._expire()
        return message.locked_until is not None and message.lock == lock

    def next_event(self) -> datetime | None:
        """When a message becomes available by itself."""
        moment = self.now()
        ahead = [each.locked_until or each.available_at for each in self.messages]
        return min((each for each in ahead if each > moment), default=None)

    def _expire(self) -> None:
        moment = self.now()
        for message in self.messages:
            if message.locked_until is not None and message.locked_until <= moment:
                self._unlock(message)

    def _unlock(self, message: Message) -> None:
        message.locked_until, message.free_since = None, self.now()
        if message.deliveries >= MAX_DELIVERIES and not message.queue.endswith(DEAD):
            self._bury(message, "MaxDeliveryCountExceeded")

    def _bury(self, message: Message, reason: str) -> None:
        message.queue, message.deliveries, message.reason = message.queue + DEAD, 0, reason
        self.ended["dead-lettered"] += 1

    def _accept(self, outgoing: Outgoing) -> None:
        self.bodies.append(outgoing.body + outgoing.message_id.encode())
        name, moment = (outgoing.queue, outgoing.message_id), self.now()
        last = self._seen.get(name)
        if last is not None and moment - last < timedelta(seconds=WINDOW_SECONDS):
            self.ended["dropped as duplicate"] += 1
            return
        self._seen[name] = moment
        self.accepted += 1
        due = max(moment, outgoing.at or moment)
        self._fate(Message(outgoing, outgoing.queue, due, due))

    def _fate(self, message: Message) -> None:
        """What becomes of an accepted message."""
        draw = self.rng.random()
        if draw < self.lost:
            self.ended["lost"] += 1
            return
        if draw < self.lost + self.expired:
            self._bury(message, "TTLExpiredException")
        elif draw < self.lost + self.expired + self.late:
            message.available_at += timedelta(hours=5 * self.rng.random())
            message.free_since = message.available_at
        self.messages.append(message)

"""One queue: the decisions of a Service Bus queue, with an injected clock and no I/O.

Every operation first lets pass what is due (`advance`), so the answer never depends on how often somebody looks.
A dead-letter queue is a Queue without a dead-letter queue of its own, without expiry and without a delivery limit.
Times are milliseconds since 1970.
"""

import heapq
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from devtools.service_bus_emulator.duplicates import DuplicateHistory
from devtools.service_bus_emulator.errors import MessageLockLost, MessageNotFound, NotAllowed, Refusal
from devtools.service_bus_emulator.messages import Content, Message, State
from devtools.service_bus_emulator.properties import QueueProperties
from devtools.service_bus_emulator.timers import Timers

Clock = Callable[[], int]


class Journal(Protocol):
    """Where a queue tells what must survive. A call only notes; the journal decides when to write."""

    def save(self, queue: str, message: Message, *, urgent: bool = True) -> None: ...
    def delete(self, message: Message) -> None: ...
    def remember(self, queue: str, message_id: str, until: int) -> None: ...
    def forget(self, queue: str, before: int) -> None: ...
    def save_session(self, queue: str, session_id: str, state: bytes | None, updated_at: int) -> None: ...


class Queue:
    """Messages between send and settlement; receivers get them in order of sequence number.

    Messages wait in lines: one here, one per session in a SessionQueue. `on_ready` is called when a message may
    have become available. Settling raises the class's `lock_lost` when the lock is not held any more.
    """

    lock_lost: type[Refusal] = MessageLockLost

    def __init__(
        self,
        name: str,
        properties: QueueProperties,
        clock: Clock,
        journal: Journal,
        dead_letters: "Queue | None" = None,
    ) -> None:
        self.name = name
        self.properties = properties
        self.dead_letters = dead_letters
        self.on_ready: Callable[[], None] = lambda: None
        self.next_sequence = 1
        self.messages: dict[int, Message] = {}
        self.history = DuplicateHistory()
        self._clock = clock
        self._journal = journal
        self._lines: defaultdict[str | None, list[int]] = defaultdict(list)
        self._locks: dict[uuid.UUID, Message] = {}
        self._timers = Timers()

    # -- time ----------------------------------------------------------------------------------------------------

    def advance(self) -> int:
        """Do everything that is due: schedules, expired locks and messages. Returns the time."""
        now = self._clock()
        self._timers.run(now)
        if self.history.purge(now):
            self._journal.forget(self.name, now)
        return now

    def _at(self, due: int, act: Callable[..., None], key: object) -> None:
        self._timers.at(due, act, key)
        if self._timers.crowded(len(self.messages)):
            self._rearm()

    def _rearm(self) -> None:
        """Make the timers anew from what there is; timers of messages long gone disappear."""
        self._timers.clear()
        for message in self.messages.values():
            self._arm(message)
            if message.lock_token:
                self._timers.at(message.locked_until, self._lose_lock, message.lock_token)

    def _arm(self, message: Message) -> None:
        if message.state is State.SCHEDULED and message.scheduled_for is not None:
            self._timers.at(message.scheduled_for, self._activate, message.sequence)
        elif message.expires_at is not None:
            self._timers.at(message.expires_at, self._expire, message.sequence)

    # -- sending -------------------------------------------------------------------------------------------------

    def send(self, content: Content) -> int:
        """Keep a message, for now or for its scheduled time; a duplicate is dropped silently. Returns its number."""
        return self.send_all([content])[0]

    def send_all(self, contents: list[Content]) -> list[int]:
        """Send all, or none if one of them is refused."""
        self.advance()
        for content in contents:
            self._check(content)
        return [self._send(content) for content in contents]

    def _check(self, content: Content) -> None:
        """Raises NotAllowed for a message the queue cannot take; a plain queue takes any."""

    def _send(self, content: Content) -> int:
        now = self._clock()
        sequence = self._new_sequence()
        if self._is_duplicate(content.message_id, now):
            return sequence
        message = Message(content, sequence, enqueued_at=now)
        if content.scheduled_for is not None and content.scheduled_for > now:
            message.state, message.scheduled_for = State.SCHEDULED, content.scheduled_for
            self._keep(message)
        else:
            self._enqueue(message)
        return sequence

    def cancel(self, sequences: Iterable[int]) -> None:
        """Drop scheduled messages: all, or none and MessageNotFound if one is not, or no longer, scheduled."""
        self.advance()
        found = [self._scheduled(sequence) for sequence in dict.fromkeys(sequences)]
        for message in found:
            self._drop(message)

    def _scheduled(self, sequence: int) -> Message:
        message = self.messages.get(sequence)
        if message is None or message.state is not State.SCHEDULED:
            raise MessageNotFound(f"No scheduled message has the sequence number {sequence}.")
        return message

    def _new_sequence(self) -> int:
        self.next_sequence += 1
        return self.next_sequence - 1

    def _is_duplicate(self, message_id: str | None, now: int) -> bool:
        if not self.properties.detects_duplicates or message_id is None:
            return False
        if self.history.contains(message_id, now):
            return True
        until = now + self.properties.duplicate_window
        self.history.add(message_id, until)
        self._journal.remember(self.name, message_id, until)
        return False

    def _enqueue(self, message: Message) -> None:
        ttls = [ttl for ttl in (message.content.ttl, self.properties.default_ttl) if ttl is not None]
        message.expires_at = message.enqueued_at + min(ttls) if ttls else None
        self._keep(message)
        self._offer(message)

    def _activate(self, sequence: int) -> None:
        """The scheduled time has come: the message joins the queue like a new one, with a new number."""
        message = self.messages.get(sequence)
        if message is None or message.state is not State.SCHEDULED:
            return
        del self.messages[sequence]
        message.sequence = self._new_sequence()
        message.enqueued_at = message.scheduled_for or self._clock()
        message.state, message.scheduled_for = State.ACTIVE, None
        self._enqueue(message)

    def _keep(self, message: Message) -> None:
        self.messages[message.sequence] = message
        self._arm(message)
        self._journal.save(self.name, message)

    def _offer(self, message: Message) -> None:
        """Put a message that waits for a receiver into its line; the line is in order of sequence number."""
        if message.state is State.ACTIVE:
            heapq.heappush(self._lines[self._line(message)], message.sequence)
            self.on_ready()

    def _line(self, message: Message) -> str | None:
        return None

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive(self, line: str | None = None) -> Message | None:
        """Lock the next message and return it; None if there is none. A line is a session's id."""
        now = self.advance()
        message = self._next_in(line)
        if message is not None:
            self._lock(message, now)
        return message

    def take(self, line: str | None = None) -> Message | None:
        """Remove the next message and return it (receive and delete)."""
        self.advance()
        message = self._next_in(line)
        if message is not None:
            self._drop(message)
        return message

    def receive_deferred(self, sequences: Iterable[int], *, lock: bool, line: str | None = None) -> list[Message]:
        """Lock or remove deferred messages: all, or none and MessageNotFound (also if somebody has one locked)."""
        now = self.advance()
        found = [self._deferred(sequence, line) for sequence in dict.fromkeys(sequences)]
        for message in found:
            if lock:
                self._lock(message, now)
            else:
                self._drop(message)
        return found

    def _deferred(self, sequence: int, line: str | None) -> Message:
        message = self.messages.get(sequence)
        if message is None or message.state is not State.DEFERRED or message.lock_token or self._line(message) != line:
            raise MessageNotFound(f"No deferred message with the sequence number {sequence} is available.")
        return message

    def peek(self, from_sequence: int, limit: int, session_id: str | None = None) -> list[Message]:
        """The next messages in any state, by sequence number, without locking."""
        self.advance()
        wanted = (
            sequence
            for sequence, message in self.messages.items()
            if sequence >= from_sequence and session_id in (None, message.content.session_id)
        )
        return [self.messages[sequence] for sequence in heapq.nsmallest(limit, wanted)]

    def counts(self) -> Counter[State]:
        """How many messages are in each state; locked ones count as what they are."""
        self.advance()
        return Counter(message.state for message in self.messages.values())

    def _next_in(self, line: str | None) -> Message | None:
        waiting = self._lines.get(line)
        while waiting:
            message = self._waiting(heapq.heappop(waiting))
            if message is not None:
                return message
        self._lines.pop(line, None)
        return None

    def _waiting(self, sequence: int) -> Message | None:
        """The message, if it is still there and still waits: lines are not tidied when a message leaves."""
        message = self.messages.get(sequence)
        if message is None or message.state is not State.ACTIVE or message.lock_token:
            return None
        return message

    def _lock(self, message: Message, now: int) -> None:
        message.locked_until = self._lock_end(message, now)
        message.lock_token = uuid.uuid4()
        self._locks[message.lock_token] = message
        self._at(message.locked_until, self._lose_lock, message.lock_token)
        self._journal.save(self.name, message, urgent=False)

    def _lock_end(self, message: Message, now: int) -> int:
        return now + self.properties.lock_duration

    # -- settling ------------------------------------------------------------------------------------------------

    def complete(self, token: uuid.UUID) -> None:
        """Remove a locked message."""
        self._drop(self._locked(token))

    def abandon(self, token: uuid.UUID) -> None:
        """Give a message back; the attempt counts, and the last one allowed makes it a dead letter."""
        self._unlock(self._locked(token), failed=True)

    def release(self, token: uuid.UUID) -> None:
        """Give a message back that nobody looked at; the attempt does not count."""
        self._unlock(self._locked(token), failed=False)

    def defer(self, token: uuid.UUID) -> None:
        """Set a message aside until somebody asks for its sequence number."""
        message = self._locked(token)
        self._clear_lock(message)
        message.state = State.DEFERRED
        message.delivery_count += 1
        self._journal.save(self.name, message)

    def dead_letter(self, token: uuid.UUID, reason: str | None, description: str | None) -> None:
        """Move a message to the dead-letter queue. Raises NotAllowed there: a dead letter cannot die again."""
        message = self._locked(token)
        if self.dead_letters is None:
            raise NotAllowed("A message in a dead-letter queue cannot be dead-lettered again.")
        self._bury(message, reason, description)

    def renew(self, token: uuid.UUID) -> int:
        """Lock a message anew for the queue's lock duration; returns until when."""
        message = self._locked(token)
        message.locked_until = self._lock_end(message, self._clock())
        self._journal.save(self.name, message)
        return message.locked_until

    def _locked(self, token: uuid.UUID) -> Message:
        self.advance()
        if token not in self._locks:
            raise self.lock_lost("The lock has expired, or the message was already settled.")
        return self._locks[token]

    def _lose_lock(self, token: uuid.UUID) -> None:
        message = self._locks.get(token)
        if message is None:
            return
        if message.locked_until > self._clock():  # it was renewed
            self._at(message.locked_until, self._lose_lock, token)
        else:
            self._unlock(message, failed=True)

    def _unlock(self, message: Message, *, failed: bool) -> None:
        self._clear_lock(message)
        message.delivery_count += failed
        limit = self.properties.max_delivery_count
        if failed and limit is not None and message.delivery_count >= limit:
            text = f"Message could not be consumed after {limit} delivery attempts."
            self._bury(message, "MaxDeliveryCountExceeded", text)
        elif message.expires_at is not None and message.expires_at <= self._clock():
            self._expire(message.sequence)
        else:
            self._journal.save(self.name, message)
            self._offer(message)

    def _clear_lock(self, message: Message) -> None:
        if message.lock_token:
            del self._locks[message.lock_token]
            message.lock_token = None

    # -- the end of a message ------------------------------------------------------------------------------------

    def _expire(self, sequence: int) -> None:
        """A locked message is left alone; it expires when its lock ends without completion."""
        message = self.messages.get(sequence)
        if message is None or message.lock_token:
            return
        if self.properties.dead_letters_expired:
            self._bury(message, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self._drop(message)

    def _bury(self, message: Message, reason: str | None, description: str | None) -> None:
        assert self.dead_letters, "a dead-letter queue has neither a delivery limit nor expiry"
        self._clear_lock(message)
        del self.messages[message.sequence]
        message.dead_letter_reason, message.dead_letter_description = reason, description
        message.state, message.expires_at = State.ACTIVE, None
        self.dead_letters.add_dead_letter(message)

    def add_dead_letter(self, message: Message) -> None:
        """Take over a message; it keeps its sequence number and its delivery count."""
        self._keep(message)
        self._offer(message)

    def _drop(self, message: Message) -> None:
        self._clear_lock(message)
        del self.messages[message.sequence]
        self._journal.delete(message)

    # -- after a restart -----------------------------------------------------------------------------------------

    def restore(self, messages: Iterable[Message]) -> None:
        """Take over the messages a journal kept. Their locks go on until they expire or are settled."""
        for message in messages:
            self.messages[message.sequence] = message
            self.next_sequence = max(self.next_sequence, message.sequence + 1)
            if message.lock_token:
                self._locks[message.lock_token] = message
            else:
                self._offer(message)
        self._rearm()

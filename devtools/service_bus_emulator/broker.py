"""The queues of the emulator by name, and the turn: serve receivers, write the journal, only then let answers out."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from devtools.service_bus_emulator.errors import EntityNotFound, JournalFailed, StartError
from devtools.service_bus_emulator.journal import NoJournal, SqliteJournal
from devtools.service_bus_emulator.properties import QueueProperties
from devtools.service_bus_emulator.queue import Clock, Queue
from devtools.service_bus_emulator.session_queue import SessionQueue

DEAD_LETTERS = "$deadletterqueue"
MAX_MESSAGE_SIZE = 256 * 1024  # bytes; the limit of the Standard tier

log = logging.getLogger("service_bus_emulator")


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


class Receiver(Protocol):
    """Something that waits for messages of a queue (or for a session of it)."""

    def serve(self) -> bool:
        """Take one message if there is one and there is credit; True if something was taken."""

    def refuse_gone(self) -> None:
        """The queue was deleted."""


class Outlet(Protocol):
    """A connection with answers that wait for the journal."""

    def flush(self) -> None: ...


class Broker:
    """All queues, and who waits at each. on_failure is called when the journal cannot be written."""

    def __init__(self, journal: SqliteJournal | NoJournal, clock: Clock = wall_clock) -> None:
        self.journal = journal
        self.clock = clock
        self.on_failure: Callable[[JournalFailed], None] = lambda failure: None
        self._queues: dict[str, Queue] = {}  # by lower-case name, without the dead-letter queues
        self._receivers: defaultdict[Queue, deque[Receiver]] = defaultdict(deque)
        self._ready: set[Queue] = set()
        self._outlets: set[Outlet] = set()

    # -- queues --------------------------------------------------------------------------------------------------

    def create(self, name: str, properties: QueueProperties) -> Queue:
        """Make an empty queue and its dead-letter queue. Names are lower-case from here on."""
        below = replace(
            properties, max_delivery_count=None, default_ttl=None, detects_duplicates=False, requires_session=False
        )
        dead_letters = Queue(f"{name.lower()}/{DEAD_LETTERS}", below, self.clock, self.journal)
        kind = SessionQueue if properties.requires_session else Queue
        queue = kind(name.lower(), properties, self.clock, self.journal, dead_letters)
        for made in (queue, dead_letters):
            made.on_ready = partial(self._ready.add, made)
        self.journal.save_queue(name.lower(), properties)
        self._queues[name.lower()] = queue
        return queue

    def restore(self, journal: SqliteJournal) -> None:
        """Take over what an earlier emulator kept: call once, after the configured queues are made.

        A queue that is not configured any more is made again, with what is in it. Raises StartError for one that
        gained or lost sessions in between.
        """
        for name, (properties, next_sequence) in journal.queues().items():
            queue = self._queues.get(name) or self.create(name, properties)
            if queue.properties.requires_session != properties.requires_session:
                found, kept = queue.properties.requires_session, properties.requires_session
                raise StartError(f"queue {name}: found RequiresSession {found}, allowed: {kept}, as in the journal")
            queue.next_sequence = next_sequence
            queue.history.restore(journal.duplicates(name))
            if isinstance(queue, SessionQueue):
                queue.states = journal.sessions(name)
            for part in _parts(queue):
                part.restore(journal.messages(part.name))

    def names(self) -> list[str]:
        return sorted(self._queues)

    def entity(self, address: str) -> Queue:
        """The queue, or dead-letter queue, of an address such as `amqps://host:port/Queue/$DeadLetterQueue`.

        Raises EntityNotFound.
        """
        path = address.split("://", 1)[-1].split("/", 1)[1] if "://" in address else address
        name, _, below = path.strip("/").lower().partition("/")
        queue = self._queues.get(name)
        if queue is not None and below == DEAD_LETTERS:
            queue = queue.dead_letters
        elif below:
            queue = None
        if queue is None:
            raise EntityNotFound(f"The messaging entity {path!r} could not be found.")
        return queue

    def update(self, name: str, properties: QueueProperties) -> None:
        """Change the properties of a queue; what is in it keeps its expiry."""
        self.entity(name).properties = properties
        self.journal.save_queue(name.lower(), properties)

    def delete(self, name: str) -> None:
        """Remove a queue with its messages; its receivers are told. Raises EntityNotFound."""
        queue = self.entity(name)
        del self._queues[queue.name]
        self.journal.delete_queue([part.name for part in _parts(queue)])
        for part in _parts(queue):
            for receiver in list(self._receivers.pop(part, ())):
                receiver.refuse_gone()

    # -- receivers -----------------------------------------------------------------------------------------------

    def add_receiver(self, queue: Queue, receiver: Receiver) -> None:
        self._receivers[queue].append(receiver)
        self._ready.add(queue)

    def remove_receiver(self, queue: Queue, receiver: Receiver) -> None:
        if receiver in self._receivers.get(queue, ()):
            self._receivers[queue].remove(receiver)

    def wants_service(self, queue: Queue) -> None:
        """A receiver of the queue got credit."""
        self._ready.add(queue)

    def has_output(self, outlet: Outlet) -> None:
        self._outlets.add(outlet)

    # -- the turn ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let time pass in every queue; to be called some times a second."""
        for queue in list(self._queues.values()):
            for part in _parts(queue):
                part.advance()
        self.turn(everything=True)

    def turn(self, *, everything: bool = False) -> None:
        """End of one input: serve who waits, commit, then flush. Nothing leaves before it is in the journal."""
        while self._ready:
            self._serve(self._ready.pop())
        try:
            self.journal.commit(everything=everything)
        except JournalFailed as failure:
            self.on_failure(failure)
            return
        while self._outlets:
            self._outlets.pop().flush()

    def _serve(self, queue: Queue) -> None:
        """Give messages to the receivers in turn until none of them takes one."""
        receivers = self._receivers.get(queue)
        refused = 0
        while receivers and refused < len(receivers):
            receiver = receivers[0]
            receivers.rotate(-1)
            refused = 0 if receiver.serve() else refused + 1


def _parts(queue: Queue) -> list[Queue]:
    """A queue and its dead-letter queue."""
    return [queue, queue.dead_letters] if queue.dead_letters else [queue]

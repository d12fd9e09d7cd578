"""A queue with sessions: a receiver locks a session and gets its messages in order; message locks last as long."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from devtools.service_bus_emulator.errors import NotAllowed, SessionCannotBeLocked, SessionLockLost
from devtools.service_bus_emulator.messages import Content, Message
from devtools.service_bus_emulator.properties import QueueProperties
from devtools.service_bus_emulator.queue import Clock, Journal, Queue

GRACE = 2_000  # milliseconds a session outlives its lock: clients that renew in the last moment expect it to be there
ALL_SESSIONS = 253402300800000  # the SDK's "updated after" that means: every session, updated or not


@dataclass(slots=True, eq=False)
class Hold:
    """A session lock, until a time in milliseconds. on_lost is called once if it expires."""

    session_id: str
    until: int
    on_lost: Callable[[], None]


class SessionQueue(Queue):
    """Every message belongs to a session; whoever holds the session gets its messages, nobody else.

    `states` maps a session to (its state, when that was set).
    """

    lock_lost = SessionLockLost

    def __init__(
        self,
        name: str,
        properties: QueueProperties,
        clock: Clock,
        journal: Journal,
        dead_letters: Queue | None = None,
    ) -> None:
        super().__init__(name, properties, clock, journal, dead_letters)
        self.states: dict[str, tuple[bytes, int]] = {}
        self._holds: dict[str, Hold] = {}

    def accept(self, session_id: str | None, on_lost: Callable[[], None]) -> str | None:
        """Lock a session: the one named, or (None) the one with the oldest message; None if no session has any.

        Raises SessionCannotBeLocked if somebody else holds the named one.
        """
        now = self.advance()
        if session_id in self._holds:
            raise SessionCannotBeLocked(f"Session {session_id!r} is locked by another receiver.")
        chosen = session_id if session_id is not None else self._oldest_free_session()
        if chosen is not None:
            self._holds[chosen] = Hold(chosen, now + self.properties.lock_duration, on_lost)
            self._watch(self._holds[chosen])
        return chosen

    def renew_session(self, session_id: str) -> int:
        """Lock a held session anew; returns until when. Raises SessionLockLost."""
        hold = self._held(session_id)
        hold.until = self._clock() + self.properties.lock_duration
        return hold.until

    def release_session(self, session_id: str) -> None:
        """The receiver went away: the session and its locked messages are free; no attempt is counted."""
        self._holds.pop(session_id, None)
        self._unlock_session(session_id, failed=False)

    def session_state(self, session_id: str) -> bytes | None:
        self._held(session_id)
        value, _ = self.states.get(session_id, (None, 0))
        return value

    def set_session_state(self, session_id: str, value: bytes | None) -> None:
        """Keep a state with the session, or (None) remove it. Raises SessionLockLost."""
        self._held(session_id)
        if value is None:
            self.states.pop(session_id, None)
        else:
            self.states[session_id] = (value, self._clock())
        self._journal.save_session(self.name, session_id, value, self._clock())

    def session_ids(self, updated_after: int) -> list[str]:
        """Sessions whose state was set after a time; with ALL_SESSIONS those that have messages or a state."""
        self.advance()
        if updated_after < ALL_SESSIONS:
            return sorted(name for name, (_, updated_at) in self.states.items() if updated_at > updated_after)
        of_messages = {message.content.session_id for message in self.messages.values()}
        return sorted(name for name in of_messages | self.states.keys() if name is not None)

    def receive_deferred(self, sequences: Iterable[int], *, lock: bool, line: str | None = None) -> list[Message]:
        """As for any queue, but only for who holds the session. Raises SessionLockLost."""
        self._held(line or "")
        return super().receive_deferred(sequences, lock=lock, line=line)

    def restore(self, messages: Iterable[Message]) -> None:
        """A session lock ends with its connection, so after a restart no message of a session is locked."""
        kept = list(messages)
        for message in kept:
            message.lock_token = None
        super().restore(kept)

    def _check(self, content: Content) -> None:
        if content.session_id is None:
            raise NotAllowed(f"Queue {self.name!r} requires a session id on every message.")

    def _rearm(self) -> None:
        super()._rearm()
        for hold in self._holds.values():
            self._watch(hold)

    def _line(self, message: Message) -> str | None:
        return message.content.session_id

    def _next_in(self, line: str | None) -> Message | None:
        return super()._next_in(line) if line in self._holds else None

    def _lock_end(self, message: Message, now: int) -> int:
        return self._held(message.content.session_id or "").until

    def _lose_lock(self, token: uuid.UUID) -> None:
        """Message locks end when the session's does."""

    def _held(self, session_id: str) -> Hold:
        self.advance()
        if session_id not in self._holds:
            raise SessionLockLost(f"The lock of session {session_id!r} is lost or was never held.")
        return self._holds[session_id]

    def _oldest_free_session(self) -> str | None:
        oldest = {
            min(sequence for sequence in line if self._waiting(sequence)): name
            for name, line in self._lines.items()
            if name is not None and name not in self._holds and any(map(self._waiting, line))
        }
        return oldest[min(oldest)] if oldest else None

    def _watch(self, hold: Hold) -> None:
        self._timers.at(hold.until + GRACE, self._lose_session, hold)

    def _lose_session(self, hold: Hold) -> None:
        if self._holds.get(hold.session_id) is not hold:
            return
        if hold.until + GRACE > self._clock():  # it was renewed
            self._watch(hold)
            return
        del self._holds[hold.session_id]
        self._unlock_session(hold.session_id, failed=True)
        hold.on_lost()

    def _unlock_session(self, session_id: str, *, failed: bool) -> None:
        for message in [locked for locked in self._locks.values() if locked.content.session_id == session_id]:
            self._unlock(message, failed=failed)
        self.on_ready()

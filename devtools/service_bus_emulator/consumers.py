"""The emulator's ends of the links on which a client receives: from a queue, or from one message session."""

import asyncio
import uuid
from typing import TYPE_CHECKING

from devtools.service_bus_emulator import codec, frames
from devtools.service_bus_emulator.errors import EntityNotFound, TimedOut
from devtools.service_bus_emulator.frames import Attach, Flow
from devtools.service_bus_emulator.links import Link, address_of
from devtools.service_bus_emulator.messages import encode
from devtools.service_bus_emulator.queue import Queue
from devtools.service_bus_emulator.session_queue import SessionQueue

if TYPE_CHECKING:
    from devtools.service_bus_emulator.session import Session

SESSION_FILTER = "com.microsoft:session-filter"
SESSION_WAIT = 65_000  # milliseconds a client waits for a session that does not say how long
NET_EPOCH_TICKS, TICKS_PER_MS = 621_355_968_000_000_000, 10_000


class ConsumerLink(Link):
    """A client receives messages of a queue."""

    def __init__(self, session: "Session", asked: Attach, queue: Queue) -> None:
        super().__init__(session, asked)
        self.queue = queue
        self._deletes = asked.snd_settle_mode == 1  # receive and delete
        self._line: str | None = None

    def open(self) -> None:
        self.answer()
        self.session.broker.add_receiver(self.queue, self)

    def on_flow(self, flow: Flow) -> None:
        super().on_flow(flow)
        if flow.drain:
            self._drain()
        elif self.credit:
            self.session.broker.wants_service(self.queue)

    def on_detach(self) -> None:
        """Locks of messages survive their link: they may be settled through `$management` until they expire."""
        self.session.broker.remove_receiver(self.queue, self)
        self.session.forget(self)

    def serve(self) -> bool:
        """Deliver one message if there is one, credit for it and room in the window."""
        if not self.credit or not self.session.has_room:
            return False
        message = self.queue.take(self._line) if self._deletes else self.queue.receive(self._line)
        if message is None:
            return False
        self.credit -= 1
        self.delivery_count += 1
        token = message.lock_token
        tag = (token or uuid.uuid4()).bytes_le
        delivery_id = self.session.send(self.handle, encode(message), tag=tag, settled=token is None)
        if token is not None:
            self.session.unsettled[delivery_id] = (self, token)
        self.session.trace("deliver %s: message %d as delivery %d", self.queue.name, message.sequence, delivery_id)
        return True

    def refuse_gone(self) -> None:
        self.detach(EntityNotFound(f"The messaging entity {self.queue.name!r} was deleted."))

    def _drain(self) -> None:
        while self.serve():
            pass
        self.delivery_count += self.credit
        self.credit = 0
        self.session.write_flow(self, drain=True)


class SessionConsumerLink(ConsumerLink):
    """A client receives the messages of one session; the attach is answered when the session is locked."""

    queue: SessionQueue

    def __init__(self, session: "Session", asked: Attach, queue: SessionQueue, wanted: str | None) -> None:
        super().__init__(session, asked, queue)
        self._wanted = wanted
        self._give_up: asyncio.TimerHandle | None = None

    def open(self) -> None:
        if not self._accept():
            wait = (self.asked.properties or {}).get("com.microsoft:timeout", SESSION_WAIT)
            self._give_up = asyncio.get_running_loop().call_later(wait / 1000, self._time_out)
        self.session.broker.add_receiver(self.queue, self)

    def serve(self) -> bool:
        if self._line is None:
            return self._accept()
        return super().serve()

    def on_detach(self) -> None:
        super().on_detach()
        self._stop_waiting()
        if self._line is not None:
            line, self._line = self._line, None
            self.queue.release_session(line)

    def _accept(self) -> bool:
        self._line = self.queue.accept(self._wanted, self._lose)
        if self._line is None:
            return False
        self._stop_waiting()
        until = self.queue.renew_session(self._line)
        ticks = codec.long(until * TICKS_PER_MS + NET_EPOCH_TICKS)
        source = frames.source_with_filter(address_of(self.asked.source) or "", SESSION_FILTER, self._line)
        self.answer(source, properties=codec.map_([codec.symbol("com.microsoft:locked-until-utc") + ticks]))
        return True

    def _lose(self) -> None:
        self._line = None
        self.detach(self.queue.lock_lost("The lock of the session has expired."))

    def _time_out(self) -> None:
        self._stop_waiting()
        self.session.broker.remove_receiver(self.queue, self)
        self.session.refuse(self.asked, TimedOut("No session became available in time."))
        self.session.broker.turn()

    def _stop_waiting(self) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None

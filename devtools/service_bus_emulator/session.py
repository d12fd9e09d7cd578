"""An AMQP session: the links of one connection, their transfers and settlements, and the window between the peers.

(Not to be taken for a message session, which is in `session_queue`.)
"""

import uuid
from typing import TYPE_CHECKING

from devtools.service_bus_emulator import attach as attaching
from devtools.service_bus_emulator import codec, frames
from devtools.service_bus_emulator.codec import NULL, DecodeError
from devtools.service_bus_emulator.consumers import ConsumerLink
from devtools.service_bus_emulator.errors import Refusal
from devtools.service_bus_emulator.frames import Attach, Begin, Detach, Disposition, Flow, Performative, Transfer
from devtools.service_bus_emulator.links import Link, ReplyLink
from devtools.service_bus_emulator.settlement import settle

if TYPE_CHECKING:
    from devtools.service_bus_emulator.connection import Connection

# The SDK matches a settlement by its number without looking at the role: ours stay away from the client's.
FIRST_ID = 1 << 30


class Session:
    """One session. `unsettled` are the deliveries the client has not settled: id → (link, lock token)."""

    def __init__(self, connection: "Connection", channel: int, begin: Begin) -> None:
        self.connection = connection
        self.broker = connection.broker
        self.channel = channel
        self.unsettled: dict[int, tuple[ConsumerLink, uuid.UUID]] = {}
        self.trace = connection.trace
        self._links: dict[int, Link] = {}
        self._next_incoming_id: int = begin.next_outgoing_id or 0
        self._next_outgoing_id = FIRST_ID
        self._next_delivery_id = FIRST_ID
        self._window: int = begin.incoming_window or 0
        self.write(frames.begin(channel, FIRST_ID))

    def write(self, frame: bytes) -> None:
        self.connection.write(frame)

    # -- what the client says ------------------------------------------------------------------------------------

    def handle(self, performative: Performative, payload: bytes) -> None:
        if isinstance(performative, Transfer):
            self._on_transfer(performative, payload)
        elif isinstance(performative, Disposition):
            self._on_disposition(performative)
        elif isinstance(performative, Flow):
            self._on_flow(performative)
        elif isinstance(performative, Attach):
            self._on_attach(performative)
        elif isinstance(performative, Detach):
            self._on_detach(performative)
        else:
            raise DecodeError(f"{type(performative).__name__.lower()} inside a session")

    def close(self) -> None:
        """The session or its connection is over."""
        for link in list(self._links.values()):
            link.on_detach()
        self._links.clear()

    def _on_attach(self, attach: Attach) -> None:
        if not isinstance(attach.name, str) or not isinstance(attach.handle, int) or attach.handle in self._links:
            raise DecodeError("an attach without a name or a free handle")
        try:
            link = attaching.make(self, attach)
            self._links[attach.handle] = link
            link.open()
        except Refusal as refusal:
            self.refuse(attach, refusal)

    def refuse(self, attach: Attach, refusal: Refusal) -> None:
        """An attach without source and target, then a detach that says why."""
        self._links.pop(attach.handle, None)
        self.trace("refuse link %s: %s", attach.name, refusal)
        count = codec.uint(0)
        self.write(frames.attach(self.channel, attach, source=NULL, target=NULL, initial_delivery_count=count))
        self.write(frames.detach(self.channel, attach.handle, frames.error(refusal.condition, str(refusal))))

    def _on_detach(self, detach: Detach) -> None:
        link = self._links.pop(detach.handle, None)
        if link is not None:
            link.on_detach()
            self.write(frames.detach(self.channel, detach.handle))

    def _on_flow(self, flow: Flow) -> None:
        seen = FIRST_ID if flow.next_incoming_id is None else flow.next_incoming_id
        self._window = seen + (flow.incoming_window or 0) - self._next_outgoing_id
        if flow.handle is None:
            self.connection.serve_again()
        elif flow.handle in self._links:
            self._links[flow.handle].on_flow(flow)

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id += 1
        if transfer.handle in self._links:
            self._links[transfer.handle].on_transfer(transfer, payload)

    def _on_disposition(self, disposition: Disposition) -> None:
        """Settle deliveries, each with an answer of its own.

        One we do not know belongs to a detached link: silence makes the SDK settle through `$management`.
        """
        if not disposition.role:
            return
        first: int = disposition.first
        last: int = first if disposition.last is None else disposition.last
        for delivery_id in [first] if first == last else [known for known in self.unsettled if first <= known <= last]:
            if delivery_id not in self.unsettled:
                continue
            link, token = self.unsettled.pop(delivery_id)
            outcome = settle(link.queue, token, disposition.state)
            self.trace("settle %s: delivery %d", link.queue.name, delivery_id)
            if not disposition.settled:
                self.write(frames.disposition(self.channel, role=False, delivery_id=delivery_id, state=outcome))

    # -- what we say ---------------------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        return self._window > 0 and self.connection.has_room

    def send(self, handle: int, payload: bytes, *, tag: bytes, settled: bool) -> int:
        """Send one delivery; returns its id."""
        delivery_id = self._next_delivery_id
        self._next_delivery_id += 1
        size = self.connection.max_frame_size
        fragments = frames.transfer(
            self.channel, handle, delivery_id, tag, settled=settled, payload=payload, max_frame_size=size
        )
        for fragment in fragments:
            self.write(fragment)
        self._next_outgoing_id += len(fragments)
        self._window -= len(fragments)
        return delivery_id

    def settle_incoming(self, delivery_id: int, outcome: bytes) -> None:
        self.write(frames.disposition(self.channel, role=True, delivery_id=delivery_id, state=outcome))

    def write_flow(self, link: Link, *, drain: bool = False) -> None:
        window = (self._next_incoming_id, self._next_outgoing_id)
        state = (link.handle, link.delivery_count, link.credit)
        self.write(frames.flow(self.channel, window, state, drain=drain))

    def reply_link(self, reply_to: str | None, node: str) -> ReplyLink | None:
        """Where a request of this session is answered."""
        replies = [link for link in self._links.values() if isinstance(link, ReplyLink)]
        return next((link for link in replies if link.answers(reply_to, node)), None)

    def serve_again(self) -> None:
        """There is room again: let the receivers have what they may have missed."""
        for link in self._links.values():
            if isinstance(link, ConsumerLink):
                self.broker.wants_service(link.queue)

    def forget(self, gone: ConsumerLink) -> None:
        """Drop the unsettled deliveries of a link; their messages stay locked until the locks end."""
        self.unsettled = {number: (link, token) for number, (link, token) in self.unsettled.items() if link is not gone}

    def drop(self, link: Link, error: bytes) -> None:
        """End a link from our side."""
        if self._links.get(link.handle) is link:
            del self._links[link.handle]
            self.write(frames.detach(self.channel, link.handle, error))

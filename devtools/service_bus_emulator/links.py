"""The emulator's ends of the links on which a client sends, asks and is answered (receives: `consumers`)."""

import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from devtools.service_bus_emulator import codec, frames, requests
from devtools.service_bus_emulator.broker import MAX_MESSAGE_SIZE
from devtools.service_bus_emulator.codec import DecodeError, Described
from devtools.service_bus_emulator.errors import MessageTooLarge, Refusal
from devtools.service_bus_emulator.frames import SOURCE, TARGET, Attach, Flow, Transfer
from devtools.service_bus_emulator.messages import BATCH_FORMAT, parse, split_batch
from devtools.service_bus_emulator.requests import Reply, Request

if TYPE_CHECKING:
    from devtools.service_bus_emulator.session import Session

CREDIT = 1000  # transfers a sending client may have under way
CBS = "$cbs"


def address_of(terminus: Any) -> str | None:
    """The address of a source or target; None if it has none."""
    if isinstance(terminus, Described) and terminus.value and isinstance(terminus.value[0], str):
        return terminus.value[0]
    return None


class Link:
    """What all ends share. `asked` is the client's attach."""

    def __init__(self, session: "Session", asked: Attach) -> None:
        self.session = session
        self.asked = asked
        self.handle: int = asked.handle
        self.credit = 0
        self.delivery_count = 0

    def open(self) -> None:
        """Answer the attach."""
        self.answer()

    def answer(self, source: bytes | None = None, **more: bytes) -> None:
        source = source or frames.terminus(SOURCE, address_of(self.asked.source))
        target = frames.terminus(TARGET, address_of(self.asked.target))
        more.setdefault("initial_delivery_count", codec.uint(0))
        self.session.write(frames.attach(self.session.channel, self.asked, source=source, target=target, **more))

    def on_flow(self, flow: Flow) -> None:
        """Take over the credit of a client that receives."""
        seen = flow.delivery_count if flow.delivery_count is not None else self.delivery_count
        self.credit = (seen + (flow.link_credit or 0) - self.delivery_count) & 0xFFFFFFFF
        if self.credit > 0x7FFFFFFF:  # the client took credit back that was used already
            self.credit = 0

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        raise DecodeError("a transfer on a link that only sends")

    def on_detach(self) -> None:
        """The client detached, or is gone."""

    def detach(self, refusal: Refusal) -> None:
        """End the link from our side."""
        self.on_detach()
        self.session.drop(self, frames.error(refusal.condition, str(refusal)))


class IncomingLink(Link):
    """A client sends here: puts fragments together and keeps the client in credit."""

    def __init__(self, session: "Session", asked: Attach) -> None:
        super().__init__(session, asked)
        self._payload = bytearray()
        self._first: Transfer | None = None

    def open(self) -> None:
        size = codec.ulong(MAX_MESSAGE_SIZE)
        self.answer(max_message_size=size, initial_delivery_count=codec.NULL)
        self._grant()

    def on_flow(self, flow: Flow) -> None:
        """A sending client has no credit to give."""

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._first = self._first or transfer
        if not isinstance(self._first.delivery_id, int):
            raise DecodeError("a transfer without a delivery id")
        if len(self._payload) <= MAX_MESSAGE_SIZE:  # beyond it is refused anyway: do not gather it
            self._payload += payload
        if transfer.more and not transfer.aborted:
            return
        first, whole = self._first, bytes(self._payload)
        self._first, self._payload = None, bytearray()
        self._count()
        if not transfer.aborted:
            outcome = self._outcome(first, whole)
            if not first.settled and not transfer.settled:
                self.session.settle_incoming(first.delivery_id, outcome)

    def _outcome(self, first: Transfer, payload: bytes) -> bytes:
        try:
            if len(payload) > MAX_MESSAGE_SIZE:
                raise MessageTooLarge(f"The message is larger than the {MAX_MESSAGE_SIZE} bytes that are allowed.")
            self.accept(payload, first.message_format or 0)
        except Refusal as refusal:
            return frames.outcome(frames.REJECTED, frames.error(refusal.condition, str(refusal)))
        except DecodeError as error:
            return frames.outcome(frames.REJECTED, frames.error("amqp:decode-error", str(error)))
        return frames.outcome(frames.ACCEPTED)

    def accept(self, payload: bytes, message_format: int) -> None:
        """Take one whole transfer. Raises Refusal or DecodeError."""
        raise NotImplementedError

    def _count(self) -> None:
        self.delivery_count += 1
        self.credit -= 1
        if self.credit < CREDIT // 2:
            self._grant()

    def _grant(self) -> None:
        self.credit = CREDIT
        self.session.write_flow(self)


class ProducerLink(IncomingLink):
    """A client sends messages to a queue."""

    def accept(self, payload: bytes, message_format: int) -> None:
        queue = self.session.broker.entity(address_of(self.asked.target) or "")  # again: it may be deleted by now
        payloads = split_batch(payload) if message_format == BATCH_FORMAT else [payload]
        queue.send_all([parse(one) for one in payloads])
        self.session.trace("send %s: %d message(s), %d bytes", queue.name, len(payloads), len(payload))


class RequestLink(IncomingLink):
    """A client asks; the answer goes out on the reply link it attached beside this one."""

    def __init__(self, session: "Session", asked: Attach, handle_request: Callable[[Request], Reply]) -> None:
        super().__init__(session, asked)
        self._handle_request = handle_request
        self._node = address_of(asked.target) or ""

    def accept(self, payload: bytes, message_format: int) -> None:
        request = requests.parse(payload)
        reply = self._handle_request(request)
        self.session.trace("%s %s: %d", self._node, request.properties.get("operation"), reply.status)
        link = self.session.reply_link(request.reply_to, self._node)
        if link is not None:
            link.send(requests.encode(request, reply, for_cbs=self._node == CBS))


class ReplyLink(Link):
    """A client is answered here. Replies are sent settled: the SDK never settles them."""

    def __init__(self, session: "Session", asked: Attach) -> None:
        super().__init__(session, asked)
        self._pending: deque[bytes] = deque()

    def answers(self, reply_to: str | None, node: str) -> bool:
        source = address_of(self.asked.source) or ""
        return reply_to == address_of(self.asked.target) or node.lower() == source.lower()

    def send(self, payload: bytes) -> None:
        self._pending.append(payload)
        self._send_pending()

    def on_flow(self, flow: Flow) -> None:
        super().on_flow(flow)
        self._send_pending()

    def _send_pending(self) -> None:
        while self._pending and self.credit:
            self.credit -= 1
            self.delivery_count += 1
            self.session.send(self.handle, self._pending.popleft(), tag=uuid.uuid4().bytes_le, settled=True)

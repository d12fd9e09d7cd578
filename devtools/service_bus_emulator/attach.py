"""Which end of a link fits what a client attaches."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from devtools.service_bus_emulator import cbs, management
from devtools.service_bus_emulator.codec import Described
from devtools.service_bus_emulator.consumers import SESSION_FILTER, ConsumerLink, SessionConsumerLink
from devtools.service_bus_emulator.errors import NotAllowed
from devtools.service_bus_emulator.frames import Attach
from devtools.service_bus_emulator.links import CBS, Link, ProducerLink, ReplyLink, RequestLink, address_of
from devtools.service_bus_emulator.queue import Queue
from devtools.service_bus_emulator.requests import Reply, Request
from devtools.service_bus_emulator.session_queue import SessionQueue

if TYPE_CHECKING:
    from devtools.service_bus_emulator.session import Session

MANAGEMENT = "/$management"


def make(session: "Session", asked: Attach) -> Link:
    """The end that fits an attach. Raises EntityNotFound for an unknown address, NotAllowed for what cannot be."""
    receives: bool = asked.role
    address = address_of(asked.source if receives else asked.target)
    if address is None:
        raise NotAllowed("A link needs an address.")
    if address.lower() == CBS or address.lower().endswith(MANAGEMENT):
        return ReplyLink(session, asked) if receives else RequestLink(session, asked, _handler(session, address))
    queue = session.broker.entity(address)
    if not receives:
        return _producer(session, asked, queue)
    return _consumer(session, asked, queue)


def _handler(session: "Session", address: str) -> Callable[[Request], Reply]:
    if address.lower() == CBS:
        return lambda request: cbs.put_token(session.broker, request)
    entity = address[: -len(MANAGEMENT)]
    session.broker.entity(entity)  # an unknown one is refused now, a deleted one when it is asked
    return lambda request: management.answer(session.broker.entity(entity), request)


def _producer(session: "Session", asked: Attach, queue: Queue) -> Link:
    if queue.dead_letters is None:
        raise NotAllowed("Messages cannot be sent to a dead-letter queue.")
    return ProducerLink(session, asked)


def _consumer(session: "Session", asked: Attach, queue: Queue) -> Link:
    source = asked.source.value if isinstance(asked.source, Described) else []
    filters = source[7] if len(source) > 7 else None
    with_session = isinstance(filters, dict) and SESSION_FILTER in filters
    if not isinstance(queue, SessionQueue):
        if with_session:
            raise NotAllowed(f"Queue {queue.name!r} does not have sessions.")
        return ConsumerLink(session, asked, queue)
    if not with_session:
        raise NotAllowed(f"Queue {queue.name!r} has sessions: a receiver must accept one.")
    wanted = filters[SESSION_FILTER] if filters else None
    if wanted is not None and not isinstance(wanted, str):
        raise NotAllowed(f"A session id must be a string, found {type(wanted).__name__}.")
    return SessionConsumerLink(session, asked, queue, wanted)

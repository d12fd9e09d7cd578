"""The management API over HTTP: the queue operations of ServiceBusAdministrationClient (Atom XML).

It shares the port with AMQP: a connection that does not begin with `AMQP` comes here.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.config import QUEUE_NAME, QUEUE_NAME_ALLOWED
from devtools.service_bus_emulator.errors import EntityNotFound
from devtools.service_bus_emulator.messages import State
from devtools.service_bus_emulator.properties import NAMES, PropertyError, QueueProperties, from_values, to_values
from devtools.service_bus_emulator.queue import Queue

ATOM = "http://www.w3.org/2005/Atom"
CONNECT = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
MAX_REQUEST = 1 << 20  # bytes
UNCHANGEABLE = ("RequiresDuplicateDetection", "RequiresSession")

log = logging.getLogger("service_bus_emulator")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class AdminError(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


# -- what is asked -----------------------------------------------------------------------------------------------


def answer(broker: Broker, request: HttpRequest) -> tuple[int, str]:
    """HTTP status and XML body for a request."""
    try:
        if request.path.lower() == "$resources/queues" and request.method == "GET":
            return 200, _feed(broker, request.query)
        name = request.path.lower()
        if request.method == "PUT":
            return _put(broker, name, request)
        queue = broker.entity(name)
        if queue.dead_letters is None or request.method not in ("GET", "DELETE"):
            raise AdminError(400, f"{request.method} {request.path} is not supported.")
        if request.method == "DELETE":
            broker.delete(name)
            return 200, ""
        return 200, _entry(queue)
    except EntityNotFound as refusal:
        return 404, _error(404, str(refusal))
    except AdminError as error:
        return error.status, _error(error.status, str(error))


def _put(broker: Broker, name: str, request: HttpRequest) -> tuple[int, str]:
    """Create a queue, or with If-Match change one."""
    if not QUEUE_NAME.fullmatch(name):
        raise AdminError(400, f"Queue name {name!r}; allowed: {QUEUE_NAME_ALLOWED}.")
    properties = _properties(request.body)
    exists = name in broker.names()
    if "if-match" in request.headers:
        queue = broker.entity(name)
        old, new = to_values(queue.properties), to_values(properties)
        for fixed in UNCHANGEABLE:
            if old[fixed] != new[fixed]:
                raise AdminError(400, f"{fixed} cannot be changed after the queue was created.")
        broker.update(name, properties)
        return 200, _entry(queue)
    if exists:
        raise AdminError(409, f"The queue {name!r} already exists.")
    return 201, _entry(broker.create(name, properties))


def _properties(body: bytes) -> QueueProperties:
    """The properties in a QueueDescription; what has no meaning here (sizes, express, …) is passed over."""
    try:
        description = ElementTree.fromstring(body).find(f".//{{{CONNECT}}}QueueDescription")  # noqa: S314  # loopback only, from the developer's own client
    except ElementTree.ParseError as error:
        raise AdminError(400, f"The body is not XML: {error}.") from error
    if description is None:
        raise AdminError(400, "The body has no QueueDescription.")
    values = {element.tag.rpartition("}")[2]: _value(element.text or "") for element in description}
    try:
        return from_values({name: value for name, value in values.items() if name in NAMES})
    except PropertyError as error:
        raise AdminError(400, f"{error}.") from error


def _value(text: str) -> str | int | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if text.isdecimal() else text


# -- what is answered --------------------------------------------------------------------------------------------


def _feed(broker: Broker, query: dict[str, list[str]]) -> str:
    skip, top = (int(query.get(key, [default])[0]) for key, default in (("$skip", "0"), ("$top", "100")))
    entries = [_entry(broker.entity(name)) for name in broker.names()[skip : skip + top]]
    return f'<feed xmlns="{ATOM}"><title type="text">Queues</title>{"".join(entries)}</feed>'


def _entry(queue: Queue) -> str:
    counts = queue.counts()
    dead = sum(queue.dead_letters.counts().values()) if queue.dead_letters else 0
    size = sum(len(message.content.payload) for message in queue.messages.values())
    values = to_values(queue.properties) | {
        "MaxSizeInMegabytes": 1024,
        "EnableBatchedOperations": True,
        "SizeInBytes": size,
        "MessageCount": sum(counts.values()) + dead,
        "Status": "Active",
        "EnablePartitioning": False,
        "EntityAvailabilityStatus": "Available",
    }
    details = {
        "ActiveMessageCount": counts[State.ACTIVE],
        "DeadLetterMessageCount": dead,
        "ScheduledMessageCount": counts[State.SCHEDULED],
        "TransferMessageCount": 0,
        "TransferDeadLetterMessageCount": 0,
    }
    title = escape(queue.name)
    return (
        f'<entry xmlns="{ATOM}"><id>{title}</id><title type="text">{title}</title><content type="application/xml">'
        f'<QueueDescription xmlns="{CONNECT}">{_elements(values)}<CountDetails xmlns:d="{COUNTS}">'
        f"{_elements(details, prefix='d:')}</CountDetails></QueueDescription></content></entry>"
    )


def _elements(values: dict[str, Any], prefix: str = "") -> str:
    return "".join(f"<{prefix}{name}>{_text(value)}</{prefix}{name}>" for name, value in values.items())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


def _error(status: int, text: str) -> str:
    return f"<Error><Code>{status}</Code><Detail>{escape(text)}</Detail></Error>"


# -- HTTP --------------------------------------------------------------------------------------------------------

_REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 413: "Too Large"}
_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) HTTP/1\.[01]")


class AdminConnection(asyncio.Protocol):
    """Just enough HTTP/1.1: bodies with Content-Length, connections kept open."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._output: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (request := _take_request(self._buffer)) is not None:
                status, body = answer(self._broker, request)
                log.debug("admin %s %s: %d", request.method, request.path, status)
                self._respond(status, body)
        except (AdminError, ValueError) as error:
            self._respond(400, _error(400, str(error)))
            self._buffer.clear()
        self._broker.turn()

    def flush(self) -> None:
        output, self._output = b"".join(self._output), []
        if self._transport is not None:
            self._transport.write(output)

    def _respond(self, status: int, body: str) -> None:
        content = body.encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/atom+xml; charset=utf-8\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self._output.append(head.encode() + content)
        self._broker.has_output(self)


def _take_request(buffer: bytearray) -> HttpRequest | None:
    """Take one complete request off the front of the buffer; None if there is none yet. Raises AdminError."""
    if len(buffer) > MAX_REQUEST:
        raise AdminError(413, f"A request of more than {MAX_REQUEST} bytes.")
    head, found, _ = buffer.partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise AdminError(400, "Neither AMQP nor an HTTP/1.1 request.")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    end = len(head) + 4 + int(headers.get("content-length", "0"))
    if len(buffer) < end:
        return None
    body = bytes(buffer[len(head) + 4 : end])
    del buffer[:end]
    url = urlsplit(match[2])
    return HttpRequest(match[1], unquote(url.path).strip("/"), parse_qs(url.query), headers, body)

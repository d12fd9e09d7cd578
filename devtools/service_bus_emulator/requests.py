"""Requests and replies over AMQP: what `$cbs` and `$management` have in common."""

from dataclasses import dataclass, field
from typing import Any

from devtools.service_bus_emulator import codec, messages
from devtools.service_bus_emulator.codec import NULL, DecodeError


@dataclass(frozen=True, slots=True)
class Request:
    """message_id: as encoded, because the reply must repeat it in the same AMQP type."""

    message_id: bytes = NULL
    reply_to: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """body: an encoded AMQP value; status as in HTTP."""

    status: int = 200
    description: str = "OK"
    body: bytes = NULL
    condition: str | None = None


def parse(payload: bytes) -> Request:
    """Raises DecodeError if the payload is no request."""
    found = {code: value_at for code, _, value_at, _ in messages.sections(payload)}

    def value(code: int) -> Any:
        return codec.decode(payload, found[code])[0] if code in found else None

    raw = codec.raw_items(payload, found[messages.PROPERTIES]) if messages.PROPERTIES in found else []
    raw += [NULL] * (5 - len(raw))
    application = value(messages.APPLICATION_PROPERTIES)
    if not isinstance(application, dict):
        raise DecodeError("a request without application properties")
    return Request(raw[0], codec.decode(raw[4])[0], application, value(messages.VALUE))


def encode(request: Request, reply: Reply, *, for_cbs: bool) -> bytes:
    """The reply as a message; `$cbs` and `$management` write the keys differently."""
    keys = ("status-code", "status-description") if for_cbs else ("statusCode", "statusDescription")
    application = [
        codec.string(keys[0]) + codec.int32(reply.status),
        codec.string(keys[1]) + codec.string(reply.description),
    ]
    if reply.condition:
        application.append(codec.string("errorCondition") + codec.symbol(reply.condition))
    return b"".join(
        [
            codec.described(messages.PROPERTIES, codec.list_([NULL] * 5 + [request.message_id])),
            codec.described(messages.APPLICATION_PROPERTIES, codec.map_(application)),
            codec.described(messages.VALUE, reply.body),
        ]
    )

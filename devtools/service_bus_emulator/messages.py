"""Messages: what a sender sent (Content), what the broker knows about it (Message), what a receiver gets (encode).

A message is never encoded again. `parse` finds where its sections begin and decodes only what the broker decides on;
`encode` puts a new header and new annotations in front of the sender's own bytes.
"""

import uuid
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from devtools.service_bus_emulator import codec
from devtools.service_bus_emulator.codec import DecodeError

BATCH_FORMAT = 0x80013700  # message-format of a transfer whose data sections are whole messages

HEADER, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, DATA, VALUE = 0x70, 0x72, 0x73, 0x74, 0x75, 0x77
_SECTIONS = range(0x70, 0x79)

_MAX_TTL = 0xFFFFFFFF
_YEAR_10000 = 253402300800000
_SCHEDULED_TIME = "x-opt-scheduled-enqueue-time"
_OURS = {"x-opt-sequence-number", "x-opt-enqueued-time", "x-opt-locked-until", "x-opt-message-state"}
_SEQUENCE, _ENQUEUED, _LOCKED_UNTIL, _STATE, _LOCK_TOKEN = (
    codec.symbol(name)
    for name in ("x-opt-sequence-number", "x-opt-enqueued-time", "x-opt-locked-until", "x-opt-message-state",
                 "x-opt-lock-token")
)  # fmt: skip


class State(IntEnum):
    """The numbers are those of the annotation `x-opt-message-state`."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class Content:
    """One message as its sender encoded it.

    payload: all of it; bare_at: where the part begins that is passed on unchanged (properties, application
    properties, body); application_properties: where that section lies in payload, (n, n) if there is none.
    annotations: the sender's own, each pair as encoded. Times are milliseconds.
    """

    payload: bytes
    bare_at: int
    application_properties: tuple[int, int]
    annotations: tuple[bytes, ...] = ()
    durable: bool = False
    priority: int = 4
    ttl: int | None = None
    message_id: str | None = None
    session_id: str | None = None
    scheduled_for: int | None = None


@dataclass(slots=True, eq=False)
class Message:
    """One message in a queue. Times are milliseconds since 1970."""

    content: Content
    sequence: int
    enqueued_at: int
    state: State = State.ACTIVE
    scheduled_for: int | None = None
    expires_at: int | None = None
    delivery_count: int = 0  # attempts that failed
    lock_token: uuid.UUID | None = None
    locked_until: int = 0
    dead_letter_reason: str | None = None
    dead_letter_description: str | None = None
    row: int = 0  # the journal's key, 0 while it is not journalled


def sections(payload: bytes) -> list[tuple[int, int, int, int]]:
    """(code, start, start of the value, end) of every section.

    Raises DecodeError if the bytes are not a sequence of message sections.
    """
    found = []
    at = 0
    while at < len(payload):
        if payload[at] != 0:
            raise DecodeError(f"expected a message section at byte {at}")
        code, value_at = codec.decode(payload, at + 1)
        if code not in _SECTIONS:
            raise DecodeError(f"unknown message section {code!r} at byte {at}")
        end = codec.skip(payload, value_at)
        found.append((code, at, value_at, end))
        at = end
    return found


def split_batch(payload: bytes) -> list[bytes]:
    """The messages inside a batch: one in each data section."""
    return [codec.decode(payload, value_at)[0] for code, _, value_at, _ in sections(payload) if code == DATA]


def parse(payload: bytes) -> Content:
    """Read what the broker decides on. Raises DecodeError if it is not a message."""
    found = sections(payload)
    if not found:
        raise DecodeError("an empty message")
    bare_at = next((start for code, start, _, _ in found if code >= PROPERTIES), len(payload))
    facts: dict[str, Any] = {"bare_at": bare_at, "application_properties": (bare_at, bare_at)}
    for code, start, value_at, end in found:
        if code == HEADER:
            facts |= _header_facts(codec.decode(payload, value_at)[0])
        elif code == MESSAGE_ANNOTATIONS:
            facts |= _annotation_facts(codec.raw_pairs(payload, value_at))
        elif code == PROPERTIES:
            facts |= _property_facts(codec.decode(payload, value_at)[0]) | {"application_properties": (end, end)}
        elif code == APPLICATION_PROPERTIES:
            codec.raw_pairs(payload, value_at)
            facts["application_properties"] = (start, end)
    return Content(payload, **facts)


def _header_facts(header: Any) -> dict[str, Any]:
    durable, priority, ttl, *_ = [*_fields(header), None, None, None]
    return {
        "durable": bool(durable),
        "priority": 4 if priority is None else _number("priority", priority, 255),
        "ttl": None if ttl is None else _number("ttl", ttl, _MAX_TTL),
    }


def _property_facts(properties: Any) -> dict[str, Any]:
    fields = [*_fields(properties), *[None] * 11]
    message_id, session_id = fields[0], fields[10]
    if not isinstance(session_id, str | None):
        raise DecodeError("a group-id that is no string")
    return {"message_id": None if message_id is None else str(message_id), "session_id": session_id or None}


def _annotation_facts(pairs: list[tuple[Any, bytes]]) -> dict[str, Any]:
    scheduled = [codec.decode(raw, codec.skip(raw, 0))[0] for key, raw in pairs if key == _SCHEDULED_TIME]
    return {
        "annotations": tuple(raw for key, raw in pairs if key not in _OURS),
        "scheduled_for": _number(_SCHEDULED_TIME, scheduled[0], _YEAR_10000) if scheduled else None,
    }


def _fields(section: Any) -> list[Any]:
    if not isinstance(section, list):
        raise DecodeError("a message section that is no list")
    return section


def _number(name: str, value: Any, largest: int) -> int:
    """What is checked here cannot fail later, when somebody else receives the message."""
    if not isinstance(value, int) or not 0 <= value <= largest:
        raise DecodeError(f"{name}: found {value!r}, allowed: 0 to {largest}")
    return value


def encode(message: Message) -> bytes:
    """The message as a receiver gets it: our header and annotations, then the sender's own bytes."""
    content = message.content
    ttl = None if message.expires_at is None else min(message.expires_at - message.enqueued_at, _MAX_TTL)
    header = [
        codec.boolean(content.durable),
        codec.ubyte(content.priority),
        codec.NULL if ttl is None else codec.uint(ttl),
        codec.NULL,
        codec.uint(message.delivery_count),
    ]
    parts = [codec.described(HEADER, codec.list_(header))]
    if message.lock_token:
        parts.append(codec.described(0x71, codec.map_([_LOCK_TOKEN + codec.uuid_(message.lock_token)])))
    parts.append(codec.described(MESSAGE_ANNOTATIONS, codec.map_(_annotations(message))))
    parts.extend(_bare(message))
    return b"".join(parts)


def _annotations(message: Message) -> list[bytes]:
    pairs = [
        _SEQUENCE + codec.long(message.sequence),
        _ENQUEUED + codec.timestamp(message.enqueued_at),
        _STATE + codec.int32(message.state),
        *message.content.annotations,
    ]
    if message.lock_token:
        pairs.append(_LOCKED_UNTIL + codec.timestamp(message.locked_until))
    return pairs


def _bare(message: Message) -> list[bytes]:
    """The sender's bytes, with the reason added to the application properties of a dead letter."""
    content = message.content
    if message.dead_letter_reason is None and message.dead_letter_description is None:
        return [content.payload[content.bare_at :]]
    start, end = content.application_properties
    reasons = {
        "DeadLetterReason": message.dead_letter_reason,
        "DeadLetterErrorDescription": message.dead_letter_description,
    }
    pairs = [raw for key, raw in _application_pairs(content) if key not in reasons]
    pairs += [codec.string(key) + codec.string(text) for key, text in reasons.items() if text is not None]
    section = codec.described(APPLICATION_PROPERTIES, codec.map_(pairs))
    return [content.payload[content.bare_at : start], section, content.payload[end:]]


def _application_pairs(content: Content) -> list[tuple[Any, bytes]]:
    start, end = content.application_properties
    return codec.raw_pairs(content.payload, codec.skip(content.payload, start + 1)) if end > start else []

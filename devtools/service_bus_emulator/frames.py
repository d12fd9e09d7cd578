"""AMQP 1.0 frames and performatives (OASIS AMQP 1.0, parts 2 and 5): bytes ↔ named tuples.

Fields keep the names and the order of the specification; an omitted trailing field is None.
"""

import struct
from types import NoneType
from typing import Any, NamedTuple

from devtools.service_bus_emulator import codec
from devtools.service_bus_emulator.codec import FALSE, NULL, TRUE, DecodeError, Described

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
MAX_FRAME_SIZE = 65536
WINDOW = 65536  # transfers a peer may send before the next flow

AMQP, SASL = 0, 1  # frame types
_HEAD = struct.Struct("!IBBH")


class Open(NamedTuple):
    container_id: Any = None
    hostname: Any = None
    max_frame_size: Any = None
    channel_max: Any = None
    idle_time_out: Any = None
    outgoing_locales: Any = None
    incoming_locales: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: Any = None


class Begin(NamedTuple):
    remote_channel: Any = None
    next_outgoing_id: Any = None
    incoming_window: Any = None
    outgoing_window: Any = None
    handle_max: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: Any = None


class Attach(NamedTuple):
    name: Any = None
    handle: Any = None
    role: Any = None
    snd_settle_mode: Any = None
    rcv_settle_mode: Any = None
    source: Any = None
    target: Any = None
    unsettled: Any = None
    incomplete_unsettled: Any = None
    initial_delivery_count: Any = None
    max_message_size: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: Any = None


class Flow(NamedTuple):
    next_incoming_id: Any = None
    incoming_window: Any = None
    next_outgoing_id: Any = None
    outgoing_window: Any = None
    handle: Any = None
    delivery_count: Any = None
    link_credit: Any = None
    available: Any = None
    drain: Any = None
    echo: Any = None
    properties: Any = None


class Transfer(NamedTuple):
    handle: Any = None
    delivery_id: Any = None
    delivery_tag: Any = None
    message_format: Any = None
    settled: Any = None
    more: Any = None
    rcv_settle_mode: Any = None
    state: Any = None
    resume: Any = None
    aborted: Any = None
    batchable: Any = None


class Disposition(NamedTuple):
    role: Any = None
    first: Any = None
    last: Any = None
    settled: Any = None
    state: Any = None
    batchable: Any = None


class Detach(NamedTuple):
    handle: Any = None
    closed: Any = None
    error: Any = None


class End(NamedTuple):
    error: Any = None


class Close(NamedTuple):
    error: Any = None


class SaslInit(NamedTuple):
    mechanism: Any = None
    initial_response: Any = None
    hostname: Any = None


Performative = Open | Begin | Attach | Flow | Transfer | Disposition | Detach | End | Close | SaslInit

_KINDS: dict[int, type[Performative]] = {
    0x10: Open, 0x11: Begin, 0x12: Attach, 0x13: Flow, 0x14: Transfer, 0x15: Disposition,
    0x16: Detach, 0x17: End, 0x18: Close, 0x41: SaslInit,
}  # fmt: skip

_NUMBERS = {
    "max_frame_size", "next_incoming_id", "incoming_window", "next_outgoing_id", "handle", "delivery_count",
    "link_credit", "delivery_id", "message_format", "first", "last", "snd_settle_mode", "rcv_settle_mode",
}  # fmt: skip

ACCEPTED, REJECTED, RELEASED, MODIFIED = 0x24, 0x25, 0x26, 0x27  # outcomes
SOURCE, TARGET, ERROR = 0x28, 0x29, 0x1D


class Frame(NamedTuple):
    kind: int
    channel: int
    performative: Performative | None  # None: an empty frame, the heartbeat
    payload: bytes


def take(buffer: bytearray) -> bytes | None:
    """Take one complete frame off the front of the buffer; None if there is none yet.

    Raises DecodeError for a size that no frame may have, so that a stranger cannot make us wait for gigabytes.
    """
    if len(buffer) < 8:
        return None
    size = int.from_bytes(buffer[:4])
    if not 8 <= size <= MAX_FRAME_SIZE:
        raise DecodeError(f"a frame of {size} bytes; allowed are 8 to {MAX_FRAME_SIZE}")
    if len(buffer) < size:
        return None
    raw = bytes(buffer[:size])
    del buffer[:size]
    return raw


def decode(raw: bytes) -> Frame:
    """Decode one complete frame."""
    _, offset, kind, channel = _HEAD.unpack_from(raw)
    at = offset * 4
    if at >= len(raw):
        return Frame(kind, channel, None, b"")
    value, at = codec.decode(raw, at)
    if not isinstance(value, Described) or value.descriptor not in _KINDS or not isinstance(value.value, list):
        raise DecodeError("a frame body that is no performative")
    performative = _KINDS[value.descriptor]
    if len(value.value) > len(performative._fields):
        raise DecodeError(f"{performative.__name__.lower()} with {len(value.value)} fields")
    for name, field in zip(performative._fields, value.value, strict=False):
        if name in _NUMBERS and type(field) not in (int, NoneType):
            raise DecodeError(f"{performative.__name__.lower()} whose {name} is no number")
    return Frame(kind, channel, performative(*value.value), raw[at:])


def frame(channel: int, body: bytes, kind: int = AMQP) -> bytes:
    return _HEAD.pack(8 + len(body), 2, kind, channel) + body


HEARTBEAT = frame(0, b"")


def sasl_mechanisms() -> bytes:
    mechanisms = codec.symbols(["ANONYMOUS", "MSSBCBS"])
    return frame(0, codec.described(0x40, codec.list_([mechanisms])), SASL)


def sasl_outcome() -> bytes:
    return frame(0, codec.described(0x44, codec.list_([codec.ubyte(0)])), SASL)


def open_(container_id: str, idle_ms: int) -> bytes:
    fields = [codec.string(container_id), NULL, codec.uint(MAX_FRAME_SIZE), codec.uint(65535), codec.uint(idle_ms)]
    return frame(0, codec.described(0x10, codec.list_(fields)))


def begin(channel: int, next_outgoing_id: int) -> bytes:
    remote_channel = b"\x60" + channel.to_bytes(2)
    fields = [remote_channel, codec.uint(next_outgoing_id), codec.uint(WINDOW), codec.uint(WINDOW), codec.uint(255)]
    return frame(channel, codec.described(0x11, codec.list_(fields)))


def attach(channel: int, asked: Attach, *, source: bytes, target: bytes, **more: bytes) -> bytes:
    """The answer to an attach: the other role, the same settle modes; `more` are further encoded fields by name."""
    fields = dict.fromkeys(Attach._fields, NULL) | {
        "name": codec.string(asked.name),
        "handle": codec.uint(asked.handle),
        "role": codec.boolean(not asked.role),
        "snd_settle_mode": codec.ubyte(asked.snd_settle_mode or 0),
        "rcv_settle_mode": codec.ubyte(asked.rcv_settle_mode or 0),
        "source": source,
        "target": target,
    }
    return frame(channel, codec.described(0x12, codec.list_(list((fields | more).values()))))


def flow(channel: int, window: tuple[int, int], link: tuple[int, int, int], *, drain: bool = False) -> bytes:
    """window = (next incoming id, next outgoing id); link = (handle, delivery count, credit)."""
    incoming, outgoing = window
    fields = [codec.uint(incoming), codec.uint(WINDOW), codec.uint(outgoing), codec.uint(WINDOW)]
    fields += [codec.uint(number) for number in link]
    fields += [NULL, codec.boolean(drain)]
    return frame(channel, codec.described(0x13, codec.list_(fields)))


def transfer(channel: int, handle: int, delivery_id: int, tag: bytes, *, settled: bool, payload: bytes,
             max_frame_size: int) -> list[bytes]:  # fmt: skip
    """One delivery as one or more frames; frames after the first carry neither delivery id nor tag.

    The SDK takes a later frame that repeats them for the first frame of the delivery, and loses the tag.
    """
    first = [codec.uint(handle), codec.uint(delivery_id), codec.binary(tag), codec.uint(0), codec.boolean(settled)]
    room = max_frame_size - 64  # more than head and performative ever take
    if len(payload) <= room:
        return [frame(channel, codec.described(0x14, codec.list_(first)) + payload)]
    frames = []
    for at in range(0, len(payload), room):
        fields = first if at == 0 else [codec.uint(handle), NULL, NULL, NULL, codec.boolean(settled)]
        performative = codec.described(0x14, codec.list_([*fields, codec.boolean(at + room < len(payload))]))
        frames.append(frame(channel, performative + payload[at : at + room]))
    return frames


def disposition(channel: int, *, role: bool, delivery_id: int, state: bytes) -> bytes:
    """Settle one delivery. Never a range: the SDK waits for one frame per delivery it settles concurrently."""
    number = codec.uint(delivery_id)
    fields = [TRUE if role else FALSE, number, number, TRUE, state]
    return frame(channel, codec.described(0x15, codec.list_(fields)))


def detach(channel: int, handle: int, error: bytes = NULL) -> bytes:
    return frame(channel, codec.described(0x16, codec.list_([codec.uint(handle), TRUE, error])))


def end(channel: int) -> bytes:
    return frame(channel, codec.described(0x17, codec.list_([])))


def close(error: bytes = NULL) -> bytes:
    return frame(0, codec.described(0x18, codec.list_([error])))


def error(condition: str, description: str) -> bytes:
    """An AMQP error with all three fields: the SDK reads the third one unguarded and hangs without it."""
    fields = [codec.symbol(condition), codec.string(description), codec.map_([])]
    return codec.described(ERROR, codec.list_(fields))


def outcome(code: int, reason: bytes | None = None) -> bytes:
    """accepted, rejected (with or without an error), released or modified."""
    return codec.described(code, codec.list_([reason] if reason else []))


def terminus(code: int, address: str | None, fields: tuple[bytes, ...] = ()) -> bytes:
    """A source or target; `fields` are the encoded fields after the address."""
    return codec.described(code, codec.list_([codec.string(address) if address else NULL, *fields]))


def source_with_filter(address: str, name: str, value: str) -> bytes:
    """A source with one filter; between address and filter stand six fields we leave to their defaults."""
    filters = codec.map_([codec.symbol(name) + codec.string(value)])
    return terminus(SOURCE, address, (*[NULL] * 6, filters))

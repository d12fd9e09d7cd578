"""AMQP 1.0 values as bytes and back (OASIS AMQP 1.0, part 1: types).

Decoding answers plain Python values and forgets the width of a number. So nothing that must reach a receiver unchanged
is decoded and encoded again: it is cut out with `skip` and copied. Encoding is one function per AMQP type, because the
SDK insists on the exact type of some fields.
"""

import struct
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple


class DecodeError(ValueError):
    """The bytes are not AMQP 1.0."""


class Described(NamedTuple):
    """A value with a descriptor, such as a performative, a message section or an outcome."""

    descriptor: Any
    value: Any


# -- decoding ----------------------------------------------------------------------------------------------------

Decoder = Callable[[bytes, int], tuple[Any, int]]


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """Decode the value that starts at `at`: (value, position after it). Timestamps are milliseconds since 1970."""
    try:
        return _decode(data, at)
    except DecodeError:
        raise
    except (struct.error, IndexError, ValueError, OverflowError, TypeError, RecursionError) as error:
        raise DecodeError(f"broken AMQP value at byte {at}: {error}") from error


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    code = data[at]
    decoder = _DECODERS.get(code)
    if decoder is None:
        raise DecodeError(f"unknown AMQP type code 0x{code:02x} at byte {at}")
    return decoder(data, at + 1)


def _constant(value: Any) -> Decoder:
    return lambda data, at: (value, at)


def _number(layout: str) -> Decoder:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)
    return lambda data, at: (unpack(data, at)[0], at + size)


def _octet(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(data):
        raise DecodeError(f"a value at byte {at} wants {size} bytes, {len(data) - at} are left")
    return data[at:end], end


def _bytes(length: Decoder) -> Decoder:
    def decode_bytes(data: bytes, at: int) -> tuple[bytes, int]:
        size, at = length(data, at)
        return _take(data, at, size)

    return decode_bytes


def _text(length: Decoder) -> Decoder:
    def decode_text(data: bytes, at: int) -> tuple[str, int]:
        size, at = length(data, at)
        raw, at = _take(data, at, size)
        return raw.decode(), at

    return decode_text


def _uuid(data: bytes, at: int) -> tuple[uuid.UUID, int]:
    raw, at = _take(data, at, 16)
    return uuid.UUID(bytes=raw), at


def _opaque(size: int) -> Decoder:
    return lambda data, at: _take(data, at, size)


def _char(data: bytes, at: int) -> tuple[str, int]:
    code, at = _DECODERS[0x70](data, at)
    return chr(code), at


def _described(data: bytes, at: int) -> tuple[Described, int]:
    descriptor, at = _decode(data, at)
    value, at = _decode(data, at)
    return Described(descriptor, value), at


def _compound(length: Decoder, data: bytes, at: int) -> tuple[int, int, int]:
    """The head of a list, map or array: (count, where its content starts, where it ends)."""
    size, at = length(data, at)
    end = at + size
    if end > len(data):
        raise DecodeError(f"a compound at byte {at} wants {size} bytes, {len(data) - at} are left")
    count, at = length(data, at)
    return count, at, end


def _check_end(at: int, end: int) -> None:
    if at != end:
        raise DecodeError(f"a compound ends at byte {at}, its size says {end}")


def _list(length: Decoder) -> Decoder:
    def decode_list(data: bytes, at: int) -> tuple[list[Any], int]:
        count, at, end = _compound(length, data, at)
        values = []
        for _ in range(count):
            value, at = _decode(data, at)
            values.append(value)
        _check_end(at, end)
        return values, at

    return decode_list


def _map(length: Decoder) -> Decoder:
    def decode_map(data: bytes, at: int) -> tuple[dict[Any, Any], int]:
        count, at, end = _compound(length, data, at)
        pairs = {}
        for _ in range(count // 2):
            key, at = _decode(data, at)
            pairs[key], at = _decode(data, at)
        _check_end(at, end)
        return pairs, at

    return decode_map


def _array(length: Decoder) -> Decoder:
    def decode_array(data: bytes, at: int) -> tuple[list[Any], int]:
        count, at, end = _compound(length, data, at)
        if count > end - at:  # elements of no width would let four bytes ask for gigabytes
            raise DecodeError(f"an array of {count} elements does not fit into {end - at} bytes")
        described = data[at] == 0
        descriptor, at = _decode(data, at + 1) if described else (None, at)
        element = _DECODERS[data[at]]
        values, at = [], at + 1
        for _ in range(count):
            value, at = element(data, at)
            values.append(Described(descriptor, value) if described else value)
        _check_end(at, end)
        return values, at

    return decode_array


_LONG_LENGTH = _number("!I")

_DECODERS: dict[int, Decoder] = {
    0x00: _described, 0x40: _constant(None), 0x41: _constant(True), 0x42: _constant(False),
    0x43: _constant(0), 0x44: _constant(0), 0x50: _octet, 0x51: _number("!b"), 0x52: _octet, 0x53: _octet,
    0x54: _number("!b"), 0x55: _number("!b"), 0x56: lambda data, at: (data[at] != 0, at + 1),
    0x60: _number("!H"), 0x61: _number("!h"), 0x70: _LONG_LENGTH, 0x71: _number("!i"), 0x72: _number("!f"),
    0x73: _char, 0x74: _opaque(4), 0x80: _number("!Q"), 0x81: _number("!q"), 0x82: _number("!d"),
    0x83: _number("!q"), 0x84: _opaque(8), 0x94: _opaque(16), 0x98: _uuid,
    0xA0: _bytes(_octet), 0xA1: _text(_octet), 0xA3: _text(_octet),
    0xB0: _bytes(_LONG_LENGTH), 0xB1: _text(_LONG_LENGTH), 0xB3: _text(_LONG_LENGTH),
    0x45: lambda data, at: ([], at), 0xC0: _list(_octet), 0xC1: _map(_octet),
    0xD0: _list(_LONG_LENGTH), 0xD1: _map(_LONG_LENGTH), 0xE0: _array(_octet), 0xF0: _array(_LONG_LENGTH),
}  # fmt: skip

_FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def skip(data: bytes, at: int) -> int:
    """The position after the value at `at`, without decoding it: the type code itself tells the width."""
    code = data[at] if at < len(data) else -1
    if code == 0:
        return skip(data, skip(data, at + 1))
    if code >> 4 in _FIXED_WIDTH:
        end = at + 1 + _FIXED_WIDTH[code >> 4]
    elif code >> 4 in (0xA, 0xC, 0xE):
        end = at + 2 + int.from_bytes(data[at + 1 : at + 2])
    elif code >> 4 in (0xB, 0xD, 0xF):
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5])
    else:
        raise DecodeError(f"unknown AMQP type code at byte {at}")
    if end > len(data):
        raise DecodeError(f"a value at byte {at} ends beyond the data")
    return end


def raw_pairs(data: bytes, at: int) -> list[tuple[Any, bytes]]:
    """The pairs of the map at `at` as (decoded key, the pair's own bytes), to be copied unchanged."""
    if data[at] not in (0xC1, 0xD1):
        raise DecodeError(f"expected a map at byte {at}, found type code 0x{data[at]:02x}")
    count, at, end = _compound(_octet if data[at] == 0xC1 else _LONG_LENGTH, data, at + 1)
    pairs = []
    for _ in range(count // 2):
        start = at
        key, at = decode(data, at)
        if isinstance(key, list | dict | Described):
            raise DecodeError(f"a map key at byte {start} that is a compound")
        at = skip(data, at)
        pairs.append((key, data[start:at]))
    _check_end(at, end)
    return pairs


def raw_items(data: bytes, at: int) -> list[bytes]:
    """The elements of the list at `at`, each as its own bytes."""
    if data[at] == 0x45:
        return []
    if data[at] not in (0xC0, 0xD0):
        raise DecodeError(f"expected a list at byte {at}, found type code 0x{data[at]:02x}")
    count, at, end = _compound(_octet if data[at] == 0xC0 else _LONG_LENGTH, data, at + 1)
    items = []
    for _ in range(count):
        start, at = at, skip(data, at)
        items.append(data[start:at])
    _check_end(at, end)
    return items


# -- encoding ----------------------------------------------------------------------------------------------------

NULL, TRUE, FALSE, EMPTY_LIST = b"\x40", b"\x41", b"\x42", b"\x45"

_UINT, _ULONG, _INT, _LONG = (struct.Struct(layout).pack for layout in ("!BI", "!BQ", "!Bi", "!Bq"))
_HEAD = struct.Struct("!BII").pack


def boolean(value: bool) -> bytes:
    return TRUE if value else FALSE


def ubyte(value: int) -> bytes:
    return bytes((0x50, value))


def uint(value: int) -> bytes:
    return bytes((0x52, value)) if value < 256 else _UINT(0x70, value)


def ulong(value: int) -> bytes:
    return bytes((0x53, value)) if value < 256 else _ULONG(0x80, value)


def int32(value: int) -> bytes:
    return _INT(0x71, value)


def long(value: int) -> bytes:
    return _LONG(0x81, value)


def timestamp(milliseconds: int) -> bytes:
    return _LONG(0x83, milliseconds)


def uuid_(value: uuid.UUID) -> bytes:
    return b"\x98" + value.bytes


def _sized(short: int, raw: bytes) -> bytes:
    if len(raw) < 256:
        return bytes((short, len(raw))) + raw
    return _UINT(short + 0x10, len(raw)) + raw


def binary(value: bytes) -> bytes:
    return _sized(0xA0, value)


def string(value: str) -> bytes:
    return _sized(0xA1, value.encode())


def symbol(value: str) -> bytes:
    return _sized(0xA3, value.encode("ascii"))


def list_(fields: Sequence[bytes]) -> bytes:
    """A list of encoded values."""
    return _collection(0xC0, len(fields), b"".join(fields)) if fields else EMPTY_LIST


def map_(pairs: Iterable[bytes]) -> bytes:
    """A map of encoded pairs: each is key and value, one after the other."""
    encoded = list(pairs)
    return _collection(0xC1, 2 * len(encoded), b"".join(encoded))


def _collection(short: int, count: int, content: bytes) -> bytes:
    if len(content) < 255 and count < 256:
        return bytes((short, len(content) + 1, count)) + content
    return _HEAD(short + 0x10, len(content) + 4, count) + content


def array(code: int, elements: Sequence[bytes]) -> bytes:
    """An array whose elements all have the type code `code` and are encoded without it."""
    content = b"".join(elements)
    return _HEAD(0xF0, len(content) + 5, len(elements)) + bytes((code,)) + content


def longs(values: Iterable[int]) -> bytes:
    return array(0x81, [long(value)[1:] for value in values])


def timestamps(values: Iterable[int]) -> bytes:
    return array(0x83, [timestamp(value)[1:] for value in values])


def strings(values: Iterable[str]) -> bytes:
    raw = [value.encode() for value in values]
    return array(0xB1, [len(text).to_bytes(4) + text for text in raw])


def symbols(values: Iterable[str]) -> bytes:
    raw = [value.encode("ascii") for value in values]
    return array(0xB3, [len(text).to_bytes(4) + text for text in raw])


def described(descriptor: int, value: bytes) -> bytes:
    """A value with a numeric descriptor below 256, in the one form the SDK reads: 00 53 xx."""
    return bytes((0x00, 0x53, descriptor)) + value

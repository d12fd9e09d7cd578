"""A clock that only moves when told, and messages and queues made to order."""

from collections.abc import Callable
from typing import Any

import pytest

from devtools.service_bus_emulator import codec
from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.codec import NULL
from devtools.service_bus_emulator.journal import NoJournal
from devtools.service_bus_emulator.messages import Content, parse
from devtools.service_bus_emulator.properties import QueueProperties
from devtools.service_bus_emulator.queue import Queue


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


def encode_message(
    body: bytes = b"body",
    message_id: str | None = None,
    session_id: str | None = None,
    ttl: int | None = None,
    scheduled_for: int | None = None,
) -> bytes:
    """A message as a client would send it."""
    properties = [codec.string(message_id) if message_id else NULL, *[NULL] * 9]
    properties.append(codec.string(session_id) if session_id else NULL)
    sections = [codec.described(0x70, codec.list_([codec.TRUE, codec.ubyte(7), codec.uint(ttl) if ttl else NULL]))]
    if scheduled_for is not None:
        pair = codec.symbol("x-opt-scheduled-enqueue-time") + codec.timestamp(scheduled_for)
        sections.append(codec.described(0x72, codec.map_([pair])))
    sections.append(codec.described(0x73, codec.list_(properties)))
    sections.append(codec.described(0x75, codec.binary(body)))
    return b"".join(sections)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def payload() -> Callable[..., bytes]:
    return encode_message


@pytest.fixture
def content() -> Callable[..., Content]:
    return lambda *values, **more: parse(encode_message(*values, **more))


@pytest.fixture
def make_queue(clock: FakeClock) -> Callable[..., Queue]:
    """A queue `orders` with a lock of 30 s and the properties given."""

    def make(**properties: Any) -> Queue:
        return Broker(NoJournal(), clock).create("orders", QueueProperties(**{"lock_duration": 30_000} | properties))

    return make

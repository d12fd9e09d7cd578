"""The wire between host and worker: length-prefixed frames over a socket pair.

A frame is two unsigned 32-bit big-endian lengths, a JSON head and a body of raw bytes. The body is a message or an HTTP
body, which JSON could carry only after another encoding.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any

LENGTHS = struct.Struct(">II")

Head = dict[str, Any]


def encode_frame(head: Head, body: bytes = b"") -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


class FrameConnection(asyncio.Protocol):
    """Calls `received` with each frame, in order, and `lost` once when the other side is gone."""

    def __init__(self, received: Callable[[Head, bytes], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, head: Head, body: bytes = b"") -> None:
        """Never blocks: what is in flight is bounded by the listeners, not here."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame(head, body))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (frame := self._take_frame()) is not None:
            self._received(*frame)

    def _take_frame(self) -> tuple[Head, bytes] | None:
        if len(self._buffer) < LENGTHS.size:
            return None
        head_length, body_length = LENGTHS.unpack_from(self._buffer)
        body_start = LENGTHS.size + head_length
        end = body_start + body_length
        if len(self._buffer) < end:
            return None
        head: Head = json.loads(self._buffer[LENGTHS.size : body_start])
        body = bytes(self._buffer[body_start:end])
        del self._buffer[:end]
        return head, body

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()

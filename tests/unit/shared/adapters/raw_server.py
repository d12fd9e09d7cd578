"""A server that says what a decent one would not: raw bytes, packet by packet, and a client to say them to."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.adapters.source_http import SourceHttp
from shared.pipeline.requests import PageRequest, origin_of
from shared.pipeline.responses import Response
from tests.unit.shared.adapters.conftest import BEARER, CONTEXT, GENEROUS

OK = b"HTTP/1.1 200 OK\r\n"
ROUNDS = 10
"""Of the event loop, which is the client's too: it has read a packet when they are over."""

EMPTY = OK + b"Content-Length: 2\r\n\r\n[]"


class Line:
    """One connection, from the server's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The head of the next one."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def say(self, *parts: bytes) -> None:
        """Each part in a packet of its own, as far as that can be had."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            for _ in range(ROUNDS):
                await asyncio.sleep(0)

    def reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()


class Raw:
    """A server that leaves each connection, and its number, to `behave`."""

    def __init__(self, behave: Callable[[Line, int], Awaitable[None]]):
        self._behave = behave
        self._serving: set[asyncio.Task[None] | None] = set()
        self.connections = 0
        self.base = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        line = Line(reader, writer)
        try:
            await self._behave(line, self.connections)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # they went first, or the test is over
        finally:
            line.close()

    async def stop(self) -> None:
        left = [task for task in self._serving if task is not None and not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left)


@asynccontextmanager
async def serving(
    behave: Callable[[Line, int], Awaitable[None]], context: ssl.SSLContext | None = None
) -> AsyncIterator[Raw]:
    raw = Raw(behave)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=context)
    raw.base = f"http{'s' if context else ''}://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        await raw.stop()


@asynccontextmanager
async def calling(seconds: float = GENEROUS, context: ssl.SSLContext = CONTEXT) -> AsyncIterator[SourceHttp]:
    http = SourceHttp(seconds, 300, 1000, context=context)
    try:
        yield http
    finally:
        await http.close()


async def asked(
    http: SourceHttp, base: str, user: str = "ann", path: str = "/", content: bytes | None = None
) -> Response:
    method = "GET" if content is None else "POST"
    return await http.fetch(user, PageRequest(base + path, {}, frozenset({origin_of(base)}), method, content), BEARER)


async def answered(*parts: bytes) -> Response:
    """What becomes of these bytes."""

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(*parts)

    async with serving(behave) as raw, calling() as http:
        return await asked(http, raw.base)

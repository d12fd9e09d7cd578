"""Connections, seen from the other end: raw sockets that say what a decent server would not, and count."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from shared.adapters.source_http import SourceHttp
from shared.errors import TemporaryFailure
from shared.pipeline.requests import PageRequest, origin_of
from shared.pipeline.responses import Response
from tests.unit.shared.adapters.conftest import BEARER, CONTEXT, GENEROUS
from tests.unit.shared.adapters.tls import localhost_certificate

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 2\r\n\r\n[]"
STOLEN = OK + b'Content-Length: 8\r\n\r\n["mine"]'


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
            await asyncio.sleep(0.01)

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


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.0 200 OK\r\n\r\n[", b"]"],
        [OK + b"\r\n[", b"]"],
        [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n", EMPTY],
        [b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 200 OK\nContent-Length: 2\n\n[]"],
        [OK + b"Transfer-Encoding: Chunked\r\n\r\n1;name=value\r\n[\r\n1 \r\n]\r\n0\r\nX-Sum: 1\r\n\r\n"],
        [OK + b"Transfer-Enc", b"oding: chunked\r\n\r\n1\r", b"\n[\r\n1\r\n", b"]\r\n0\r\n", b"\r\n"],
        [OK + b"Link: " + b"x" * 90_000 + b"\r\nContent-Length: 2\r\n\r\n[]"],
        [OK + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"Content-Length: 2\r\n\r\n[]"],
    ],
)
async def test_what_is_odd_but_whole_is_read(parts: list[bytes]):
    response = await answered(*parts)
    assert (response.status, response.body) == (200, b"[]")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_needs_no_length(status: int):
    async with asyncio.timeout(30):
        response = await answered(b"HTTP/1.1 %d X\r\nConnection: keep-alive\r\n\r\n" % status)
    assert (response.status, response.body) == (status, b"")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"X-A: one\r\nx-a: two", "one, two"),
        (b"X-A: one\r\n two", "one two"),
        (b"X-A:", ""),
        (b"X-A: caf\xc3\xa9", "café"),
        (b"X-A: caf\xe9", "café"),
        (b"X-A: \t spaces \t", "spaces"),
    ],
)
async def test_a_header_is_text_by_its_name_in_lower_case(header: bytes, text: str):
    """Text that can be stored: a header may be a cursor."""
    response = await answered(OK + header + b"\r\nContent-Length: 2\r\n\r\n[]")
    assert response.headers["x-a"] == text
    response.headers["x-a"].encode()  # no half of a surrogate pair is left in it


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/2 200\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n[]"],
        [b"HTTP/1.1 101 Switching Protocols\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"[]"],
        [OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]x"],
        [OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Content-Length: -2\r\n\r\n[]"],
        [OK + b"Content-Length: +2\r\n\r\n[]"],
        [OK + b"Content-Length: 99999999999999999999999\r\n\r\n[]"],
        [OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n[]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]]\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n"],
        [OK + b"X-A : one\r\nContent-Length: 2\r\n\r\n[]"],
        [OK + b"X-A one\r\nContent-Length: 2\r\n\r\n[]"],
        [OK + b"X-A: o\x00ne\r\nContent-Length: 2\r\n\r\n[]"],
        [OK + b"X-A: o\rContent-Length: 2\r\n\r\n[]"],
        [OK + b"".join(b"X-%d: 1\r\n" % number for number in range(1000)) + b"Content-Length: 2\r\n\r\n[]"],
        [OK + b"X-A: " + b"x" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n[]"],
        [OK + b"x" * 200_000 + b": 1\r\nContent-Length: 2\r\n\r\n[]"],
        [b"HTTP/1.1 200 " + b"x" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n[]"],
    ],
)
async def test_what_may_not_be_whole_is_a_temporary_failure(parts: list[bytes]):
    with pytest.raises(TemporaryFailure, match=r"^the connection failed: \w+$"):
        await answered(*parts)


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", OK + b"\r\n", OK + b"Content-Length: 9\r\n\r\n"])
async def test_a_reset_is_not_the_end_of_a_body(head: bytes):
    """A list of lines would be short without anybody seeing it."""

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(head + b"[]")
        line.reset()

    async with serving(behave) as raw, calling() as http:
        with pytest.raises(TemporaryFailure):
            await asked(http, raw.base)


@pytest.mark.parametrize("content", [None, b"{}"])
@pytest.mark.parametrize("kept", [False, True])
async def test_a_request_is_sent_once_whatever_becomes_of_it(content: bytes | None, kept: bool):
    """Whoever counts the calls has to know of each; a POST may have done something."""
    heads: list[bytes] = []

    async def behave(line: Line, number: int) -> None:
        while True:
            heads.append(await line.request())
            if len(heads) > kept:
                return
            await line.say(EMPTY)

    async with serving(behave) as raw, calling() as http:
        if kept:
            await asked(http, raw.base)
        with pytest.raises(TemporaryFailure, match="the connection failed"):
            await asked(http, raw.base, content=content)
    assert len(heads) == 1 + kept
    assert raw.connections == 1


@pytest.mark.parametrize("content", [None, b"{}"])
async def test_a_connection_that_was_closed_meanwhile_is_not_used(content: bytes | None):
    closed = asyncio.Event()

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(EMPTY)
        if number == 1:
            line.close()
            closed.set()
        else:
            await line.request()

    async with serving(behave) as raw, calling() as http:
        await asked(http, raw.base)
        await closed.wait()
        assert (await asked(http, raw.base, content=content)).body == b"[]"
    assert raw.connections == 2


@pytest.fixture
def threaded() -> Iterator[tuple[str, threading.Event]]:
    """A server in a thread, which goes on while the event loop stands still. It closes its first connection."""
    closed = threading.Event()

    def serve(listening: socket.socket) -> None:
        for _ in range(2):
            with closing(listening.accept()[0]) as connection:
                connection.recv(65_536)
                connection.sendall(EMPTY)
                connection.shutdown(socket.SHUT_RDWR)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", closed
        thread.join()


async def test_a_connection_whose_end_nobody_has_seen_yet_is_not_used(threaded: tuple[str, threading.Event]):
    """The event loop was busy with other users' pages when the server went."""
    base, closed = threaded
    async with calling() as http:
        await asked(http, base)
        closed.wait(30)
        assert (await asked(http, base)).body == b"[]"


@pytest.mark.parametrize(
    "late",
    [
        [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"],
        [STOLEN],
        [b"x"],
        [b"[]", STOLEN],
    ],
    ids=["408", "answer", "byte", "twice"],
)
async def test_an_answer_that_nobody_asked_for_is_not_the_next_users(late: list[bytes]):
    said = asyncio.Event()

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(EMPTY)
        if number == 1:
            await line.say(*late)
            said.set()
        await line.request()
        await line.say(EMPTY)

    async with serving(behave) as raw, calling() as http:
        await asked(http, raw.base, "ann")
        await said.wait()
        response = await asked(http, raw.base, "bob")
    assert (response.status, response.body) == (200, b"[]")
    assert raw.connections == 2


async def test_half_an_answer_that_nobody_asked_for_is_not_the_next_users():
    """The parser that has seen its beginning is gone, so it is told by its rest."""
    said = asyncio.Event()

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(EMPTY, STOLEN[:30])
        said.set()
        await line.request()
        await line.say(STOLEN[30:] + EMPTY)

    async with serving(behave) as raw, calling() as http:
        await asked(http, raw.base, "ann")
        await said.wait()
        with pytest.raises(TemporaryFailure, match="the connection failed: BadStatusLine"):
            await asked(http, raw.base, "bob")


@pytest.mark.parametrize("first", [[EMPTY[:-1], EMPTY[-1:] + STOLEN], [EMPTY[:-2], b"[]" + STOLEN]])
async def test_an_answer_behind_the_end_of_a_body_is_not_the_next_users(first: list[bytes]):
    """In the same packet: the connection is given back before the parser has seen it."""

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(*(first if number == 1 else [EMPTY]))
        await line.request()

    async with serving(behave) as raw, calling() as http:
        await asked(http, raw.base, "ann")
        assert (await asked(http, raw.base, "bob")).body == b"[]"
    assert raw.connections == 2


async def test_an_answer_after_the_deadline_is_not_the_next_users():
    late = asyncio.Event()

    async def behave(line: Line, number: int) -> None:
        await line.request()
        if number == 1:
            await late.wait()
            await line.say(STOLEN)
        else:
            await line.say(EMPTY)

    async with serving(behave) as raw, calling(0.3) as http:
        with pytest.raises(TemporaryFailure, match="no whole response"):
            await asked(http, raw.base, "ann")
        late.set()
        assert (await asked(http, raw.base, "bob")).body == b"[]"
    assert raw.connections == 2


async def test_an_answer_before_the_whole_request_is_read_and_the_connection_closed():
    """What of the body was on its way would be the beginning of the next request."""

    async def behave(line: Line, number: int) -> None:
        await line.request()
        if number == 1:
            await line.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n[]")
        else:
            await line.say(EMPTY)
        await line.request()

    async with serving(behave) as raw, calling() as http:
        async with asyncio.timeout(30):
            response = await asked(http, raw.base, content=b"\r\n\r\n" * 4_000_000)
            assert (response.status, response.body) == (413, b"[]")
            assert (await asked(http, raw.base)).status == 200
    assert raw.connections == 2


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def behave(line: Line, number: int) -> None:
        await line.request()
        await line.say(EMPTY)

    async with serving(behave) as raw, calling() as http:
        assert (await asked(http, raw.base)).status == 200


async def test_a_name_that_nobody_knows_is_a_temporary_failure():
    async with calling() as http:
        with pytest.raises(TemporaryFailure, match="the connection failed: gaierror"):
            await asked(http, "http://nobody.invalid")


async def twice(line: Line, number: int) -> None:
    for _ in range(2):
        await line.request()
        await line.say(EMPTY)


async def test_a_connection_with_tls_is_used_again(tmp_path: Path):
    """The tickets that a server sends behind its handshake are no answer."""
    server, client = localhost_certificate(tmp_path)
    async with serving(twice, server) as raw, calling(context=client) as http:
        for user in ("ann", "bob"):
            assert (await asked(http, raw.base, user)).body == b"[]"
    assert raw.connections == 1


async def test_a_certificate_of_nobody_known_is_a_temporary_failure(tmp_path: Path):
    """And no request reaches whoever showed it."""
    heads: list[bytes] = []

    async def behave(line: Line, number: int) -> None:
        heads.append(await line.request())

    server, _ = localhost_certificate(tmp_path)
    async with serving(behave, server) as raw, calling() as http:
        with pytest.raises(TemporaryFailure, match="the connection failed: SSLCertVerificationError"):
            await asked(http, raw.base)
    assert heads == []


async def test_tls_to_a_server_without_is_a_temporary_failure():
    async def behave(line: Line, number: int) -> None:
        await line.say(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with serving(behave) as raw, calling() as http:
        with pytest.raises(TemporaryFailure, match="the connection failed: "):
            await asked(http, raw.base.replace("http:", "https:"))

"""Broken, endless, slow and oddly encoded bodies, from a real HTTP server."""

import asyncio
import gzip
import json
import zlib

import pytest
from aiohttp import web

from shared.adapters.source_http import MAX_INFLATED
from shared.errors import MalformedResponse, TemporaryFailure
from tests.unit.shared.adapters.conftest import Called, HttpSource, called_with


def encoded(body: bytes, encoding: str, status: int = 200, extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Encoding: {encoding}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b'{"data": []}', mtime=0)),
        ("GZIP", gzip.compress(b'{"data": []}', mtime=0)),
        ("x-gzip", gzip.compress(b'{"data": []}', mtime=0)),
        ("deflate", zlib.compress(b'{"data": []}')),
        ("identity", b'{"data": []}'),
        ("", b'{"data": []}'),
    ],
)
async def test_encodings_are_undone(called: Called, encoding: str, body: bytes):
    called.source.raw["/"] = [encoded(body, encoding)]
    assert (await called.get()).body == b'{"data": []}'


async def test_a_large_body_that_is_well_compressed_is_read(called: Called):
    """Ten thousand like records compress well, and are no bomb."""
    body = json.dumps([{"id": number, "text": f"the same text {number % 7}"} for number in range(40_000)]).encode()
    called.source.raw["/"] = [encoded(gzip.compress(body), "gzip")]
    assert (await called.get()).body == body


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (encoded(gzip.compress(bytes(10 * 1024 * 1024), mtime=0), "gzip"), "inflates more than"),
        (encoded(gzip.compress(bytes(MAX_INFLATED * 2), 1, mtime=0), "gzip"), "over|inflates more than"),
        (encoded(gzip.compress(b'{"data": []}' * 100, mtime=0)[:-20], "gzip"), "cut off"),
        (encoded(gzip.compress(b'{"data": []}', mtime=0)[:3], "gzip"), "cut off"),
        (encoded(b'{"data": []}', "gzip"), "the compressed body is broken"),
        (encoded(b"\x1f\x8b\x08\x00" + bytes(50), "gzip"), "the compressed body is broken"),
        (encoded(b"xxx", "br"), "content-encoding: found 'br', allowed: gzip, deflate or none"),
        (encoded(gzip.compress(b"[]", mtime=0), "gzip, gzip"), "content-encoding: found another one"),
    ],
)
async def test_a_body_that_can_not_be_undone_is_malformed(called: Called, body: bytes, said: str):
    called.source.raw["/"] = [body]
    with pytest.raises(MalformedResponse, match=said):
        await called.get()


async def test_a_body_without_end_is_given_up(called: Called):
    """Not even the wire bytes are read on and on."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1024 * 1024))

    called.source.answers["/"] = answer
    with pytest.raises(MalformedResponse, match="over"):
        await called.get()


@pytest.mark.parametrize("body", [b"", b"not gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9]])
async def test_the_status_of_a_failure_counts_whatever_its_body_is(called: Called, body: bytes):
    """A 429 whose gzip is broken still says when to come back."""
    called.source.raw["/"] = [encoded(body, "gzip", 429, "Retry-After: 7\r\n")]
    response = await called.get()
    assert (response.status, response.headers["retry-after"], response.body) == (429, "7", b"")


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Len"],
        [b"SSH-2.0-OpenSSH_9.6\r\n"],
        [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000],
    ],
)
async def test_a_connection_that_breaks_is_a_temporary_failure(called: Called, raw: list[bytes]):
    called.source.raw["/"] = raw
    with pytest.raises(TemporaryFailure, match=r"^the connection failed: "):
        await called.get()


async def test_a_reset_is_a_temporary_failure(called: Called):
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()  # type: ignore[attr-defined]  # a TCP transport can
        return web.Response()

    called.source.answers["/"] = answer
    with pytest.raises(TemporaryFailure, match=r"^the connection failed: "):
        await called.get()


async def test_a_source_that_is_not_there_is_a_temporary_failure(called: Called):
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    called.source.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
    with pytest.raises(TemporaryFailure, match=r"^the connection failed: ConnectionRefusedError"):
        await called.get()


async def test_a_slow_drip_ends_at_the_total_deadline(http_source: HttpSource):
    """A byte now and then keeps every idle time-out happy; the whole response has a deadline."""
    gone = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        finally:
            gone.set()

    http_source.answers["/drip"] = drip
    called = called_with(http_source, seconds=0.3)
    with pytest.raises(TemporaryFailure, match=r"no whole response within 0\.3 s"):
        await called.get("/drip")
    async with asyncio.timeout(30):
        await gone.wait()
    await called.http.close()


async def test_a_connection_is_used_again_only_after_a_whole_response(called: Called):
    """What was left on the wire would become the next user's answer."""
    ports = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.json_response({"data": []})

    called.source.answers["/"] = answer

    async def unread(request: web.Request) -> web.Response:
        return web.Response(body=b"not read, for it can't be undone", headers={"Content-Encoding": "br"})

    called.source.answers["/half"] = unread
    await called.get(user="ann")
    await called.get(user="bob")
    assert ports[0] == ports[1]
    with pytest.raises(MalformedResponse):
        await called.get("/half", user="ann")
    await called.get(user="bob")
    assert ports[2] != ports[1]

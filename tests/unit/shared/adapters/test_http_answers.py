"""Heads and bodies as no library would write them: what is read, and what is refused as broken."""

import asyncio

import pytest

from shared.errors import TemporaryFailure
from tests.unit.shared.adapters.raw_server import EMPTY, OK, Line, answered, asked, calling, serving


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
        [EMPTY + b"\r\n"],
        [EMPTY, b"and more"],
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

"""Connections: when one is used again, and for whom; how often a request is sent; TLS."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.errors import TemporaryFailure
from tests.unit.shared.adapters.raw_server import EMPTY, OK, Line, asked, calling, serving
from tests.unit.shared.adapters.tls import localhost_certificate

STOLEN = OK + b'Content-Length: 8\r\n\r\n["mine"]'


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

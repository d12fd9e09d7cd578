"""Calls to the sources: one client per user, all over one TLS context and a free list of connections.

A user's client is a thin thing: cookies of their own, dropped when idle. The connections are everybody's (see
http_lanes.py), and know nothing of users.

The credential is attached here, after a check of the origin, to the one call that it is for: neither a client nor a
connection has it as a default, so no redirect and no foreign next link can carry it away. Redirects are not followed.
"""

import asyncio
import ssl
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

import aiohttp

from shared.adapters.cookies import Cookies
from shared.adapters.http_calls import Call, Unsendable, call, header_texts, merged
from shared.adapters.http_lanes import Broken, Lanes, tls_context
from shared.errors import MalformedResponse, RequestRejected, TemporaryFailure
from shared.pipeline.auth import Attachment, with_fields, with_query
from shared.pipeline.requests import PageRequest, origin_of
from shared.pipeline.responses import Response

MAX_WIRE = 32 * 1024 * 1024
MAX_INFLATED = 64 * 1024 * 1024
MAX_RATIO = 200
"""A body may inflate to this many times its size on the wire, once it is over a mebibyte."""

IDLE_LANES = 64
"""Connections that wait unused, over all origins; busy ones are limited by the host's concurrency."""


class Source(Protocol):
    """Fetches one page."""

    async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
        """The whole response, whatever its status.

        Raises TemporaryFailure (reset, time-out), MalformedResponse (over a size limit, broken encoding) or
        RequestRejected (an origin that may not have the credential).
        """
        ...

    async def close(self) -> None: ...


class SourceHttp:
    """A Source over aiohttp. `clock` is monotonic seconds."""

    def __init__(
        self,
        seconds: float,
        idle_seconds: float,
        client_limit: int,
        clock: Callable[[], float] = time.monotonic,
        context: ssl.SSLContext | None = None,
    ):
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._client_limit = client_limit
        self._clock = clock
        self._lanes = Lanes(context or tls_context(), IDLE_LANES)
        self._clients: OrderedDict[tuple[str, frozenset[str]], _UserClient] = OrderedDict()

    async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
        client = self._client_of(user, request.origins)
        client.fetching += 1
        try:
            self._drop_idle()
            async with asyncio.timeout(self._seconds):
                return await self._fetched(client, client.with_cookies(_call(request, attachment)))
        except TimeoutError:
            raise TemporaryFailure(f"no whole response within {self._seconds:g} s") from None
        except Broken as error:
            raise TemporaryFailure(f"the connection failed: {error}") from None
        except Unsendable as error:
            raise RequestRejected(f"the request can't be sent: {error}") from None
        finally:
            client.fetching -= 1

    async def close(self) -> None:
        self._clients.clear()
        await self._lanes.close()

    @property
    def clients(self) -> int:
        """How many users have a client now."""
        return len(self._clients)

    async def _fetched(self, client: "_UserClient", call: Call) -> Response:
        async with self._lanes.answered(call) as answer:
            client.remember(answer)
            try:
                body = await read_body(answer)
            except MalformedResponse:
                if 200 <= answer.status < 300:
                    raise
                body = b""  # the status says enough
            return Response(answer.status, header_texts(answer), body)

    def _client_of(self, user: str, origins: frozenset[str]) -> "_UserClient":
        client = self._clients.pop((user, origins), None) or _UserClient()
        client.used_at = self._clock()
        self._clients[user, origins] = client
        return client

    def _drop_idle(self) -> None:
        """Least recently used first; a client that is fetching is never dropped."""
        now = self._clock()
        dropped: list[tuple[str, frozenset[str]]] = []
        for name, client in self._clients.items():
            too_many = len(self._clients) - len(dropped) > self._client_limit
            too_old = now - client.used_at > self._idle_seconds
            if not too_many and not too_old:
                break
            if not client.fetching:
                dropped.append(name)
        for name in dropped:
            del self._clients[name]


class _UserClient:
    """One user's cookies for the allowed origins."""

    def __init__(self) -> None:
        self.used_at = 0.0
        self.fetching = 0
        self._cookies: Cookies | None = None

    def remember(self, answer: aiohttp.ClientResponse) -> None:
        """The cookies that came along; most sources send none."""
        if sent := answer.headers.getall("Set-Cookie", ()):
            self._cookies = self._cookies or Cookies()
            self._cookies.remember(str(answer.url), sent)

    def with_cookies(self, call: Call) -> Call:
        """The call giving them back, unless it says itself which."""
        if self._cookies is None or "cookie" in map(str.lower, call.headers):
            return call
        cookies = self._cookies.header(str(call.url))
        return replace(call, headers={**call.headers, "Cookie": cookies}) if cookies else call


def _call(request: PageRequest, attachment: Attachment) -> Call:
    """The request with its credential, if it leads to an allowed origin; it is kept nowhere."""
    if (origin := origin_of(request.url)) not in request.origins:
        raise RequestRejected(f"the request leads to {origin}, allowed: {', '.join(sorted(request.origins))}")
    content, said = with_fields(request.content, request.headers, attachment.body)
    headers = merged(said.items(), attachment.headers)
    return call(request.method, with_query(request.url, attachment.query), headers, content)


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """The body, inflated, within all size limits."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
    if encoding not in {"identity", "gzip", "x-gzip", "deflate"}:
        found = repr(encoding) if encoding in {"br", "zstd", "compress"} else "another one"
        raise MalformedResponse(f"content-encoding: found {found}, allowed: gzip, deflate or none")
    inflater = None if encoding == "identity" else zlib.decompressobj(wbits=47 if "gzip" in encoding else 15)
    wire, parts, size = 0, [], 0
    async with _inflating():
        async for chunk in answer.content.iter_any():
            wire += len(chunk)
            part = inflater.decompress(chunk, MAX_INFLATED - size + 1) if inflater else chunk
            size += len(part)
            parts.append(part)
            _check_sizes(wire, size)
        if inflater and wire and not inflater.eof:
            raise MalformedResponse(f"the {encoding} body of {wire} bytes is cut off")
    return b"".join(parts)


@asynccontextmanager
async def _inflating() -> AsyncIterator[None]:
    try:
        yield
    except zlib.error:
        raise MalformedResponse("the compressed body is broken") from None


def _check_sizes(wire: int, size: int) -> None:
    if wire > MAX_WIRE or size > MAX_INFLATED:
        raise MalformedResponse(f"the body is over {MAX_INFLATED} bytes", too_large=True)
    if size > 1024 * 1024 and size > wire * MAX_RATIO:
        raise MalformedResponse(f"the body inflates more than {MAX_RATIO} times")

"""Calls to the sources: one HTTP client per user, all over one TLS context and a free list of connections.

A single pool with many connections costs time that grows with every one of them (httpcore walks them all at each
request), and a default client per user costs 25 ms for its own TLS context. So connections are single-connection
transports in a free list per origin, and a user's client is a thin thing on top: its own cookies, its own
credential, closed when idle.

The credential is attached inside the transport, after a check of the origin: a client never has it as a default, so
no redirect and no foreign next link can carry it away. Redirects are not followed.
"""

import asyncio
import ssl
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx

from shared.errors import MalformedResponse, RequestRejected, TemporaryFailure
from shared.pipeline.auth import Attachment, with_query
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
    """A Source over httpx. `clock` is monotonic seconds."""

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
        self._lanes = Lanes(context or ssl.create_default_context())
        self._clients: OrderedDict[tuple[str, frozenset[str]], _UserClient] = OrderedDict()

    async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
        client = self._client_of(user, request.origins)
        client.fetching += 1
        try:
            await self._close_idle()
            async with asyncio.timeout(self._seconds):
                return await client.send(request, attachment)
        except TimeoutError:
            raise TemporaryFailure(f"no whole response within {self._seconds:g} s") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise RequestRejected(f"the request can't be sent: {type(error).__name__}") from None
        except httpx.TransportError as error:
            raise TemporaryFailure(f"the connection failed: {type(error).__name__}") from None
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise RequestRejected(f"the request can't be sent: {type(error).__name__}") from None
        finally:
            client.fetching -= 1

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        await self._lanes.close()

    @property
    def clients(self) -> int:
        """How many users have a client now."""
        return len(self._clients)

    def _client_of(self, user: str, origins: frozenset[str]) -> "_UserClient":
        client = self._clients.pop((user, origins), None) or _UserClient(self._lanes, origins)
        client.used_at = self._clock()
        self._clients[user, origins] = client
        return client

    async def _close_idle(self) -> None:
        """Least recently used first; a client that is fetching is never closed."""
        now = self._clock()
        for name, client in list(self._clients.items()):
            too_many = len(self._clients) > self._client_limit
            too_old = now - client.used_at > self._idle_seconds
            if not too_many and not too_old:
                return
            if not client.fetching:
                del self._clients[name]
                await client.close()


class _UserClient:
    """One user's cookies and connections to the allowed origins."""

    def __init__(self, lanes: "Lanes", origins: frozenset[str]):
        self.used_at = 0.0
        self.fetching = 0
        self._transport = _CredentialTransport(lanes, origins)
        self._client = httpx.AsyncClient(
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(30, connect=10),
        )

    async def send(self, request: PageRequest, attachment: Attachment) -> Response:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **request.headers}
        sent = self._client.build_request(
            request.method,
            request.url,
            content=request.content,
            headers=headers,
            extensions={"headframe.attachment": attachment},
        )
        answer = await self._client.send(sent, stream=True)
        try:
            body = await read_body(answer)
        except MalformedResponse:
            if answer.is_success:
                raise
            body = b""  # the status says enough
        finally:
            await answer.aclose()
        return Response(answer.status_code, dict(answer.headers), body)

    async def close(self) -> None:
        await self._client.aclose()


class _CredentialTransport(httpx.AsyncBaseTransport):
    """Attaches the credential, to requests for the allowed origins only."""

    def __init__(self, lanes: "Lanes", origins: frozenset[str]):
        self._lanes = lanes
        self._origins = origins

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = origin_of(str(request.url))
        if origin not in self._origins:
            raise RequestRejected(f"the request leads to {origin}, allowed: {', '.join(sorted(self._origins))}")
        return await self._lanes.handle(origin, _with_credential(request))


def _with_credential(request: httpx.Request) -> httpx.Request:
    """A copy, so that the request the client knows (and logs) never holds the credential."""
    attachment: Attachment = request.extensions["headframe.attachment"]
    headers = httpx.Headers(request.headers)
    for name, value in attachment.headers:
        headers[name] = value
    url = with_query(str(request.url), attachment.query)
    extensions = {name: value for name, value in request.extensions.items() if name != "headframe.attachment"}
    return httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=extensions)


@dataclass(slots=True)
class _LaneStream(httpx.AsyncByteStream):
    """Gives the lane back when the body has been read or given up."""

    inner: httpx.AsyncByteStream
    release: Callable[[bool], None]
    whole: bool = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.inner:
            yield chunk
        self.whole = True

    async def aclose(self) -> None:
        await self.inner.aclose()
        self.release(self.whole)


class Lanes:
    """A last-in-first-out free list of transports with one connection each; the longest unused go first."""

    def __init__(self, context: ssl.SSLContext):
        self._context = context
        self._free: list[tuple[str, httpx.AsyncHTTPTransport]] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def handle(self, origin: str, request: httpx.Request) -> httpx.Response:
        lane = self._free_lane(origin) or self._new_lane()
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            self._discard(lane)
            raise
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous transport answered with a synchronous stream")
        response.stream = _LaneStream(response.stream, lambda whole: self._release(origin, lane, whole))
        return response

    async def close(self) -> None:
        for _, lane in self._free:
            await lane.aclose()
        self._free.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    def _free_lane(self, origin: str) -> httpx.AsyncHTTPTransport | None:
        for place in reversed(range(len(self._free))):
            if self._free[place][0] == origin:
                return self._free.pop(place)[1]
        return None

    def _new_lane(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
        return httpx.AsyncHTTPTransport(verify=self._context, limits=limits, trust_env=False)

    def _release(self, origin: str, lane: httpx.AsyncHTTPTransport, whole: bool) -> None:
        if not whole:
            self._discard(lane)
            return
        self._free.append((origin, lane))
        if len(self._free) > IDLE_LANES:
            self._discard(self._free.pop(0)[1])

    def _discard(self, lane: httpx.AsyncHTTPTransport) -> None:
        task = asyncio.create_task(lane.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def read_body(answer: httpx.Response) -> bytes:
    """The body, inflated, within all size limits."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in {"identity", "gzip", "x-gzip", "deflate"}:
        found = repr(encoding) if encoding in {"br", "zstd", "compress"} else "another one"
        raise MalformedResponse(f"content-encoding: found {found}, allowed: gzip, deflate or none")
    inflater = None if encoding == "identity" else zlib.decompressobj(wbits=47 if "gzip" in encoding else 15)
    wire, parts, size = 0, [], 0
    async with _inflating():
        async for chunk in answer.aiter_raw():
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
        raise MalformedResponse(f"the body is over {MAX_INFLATED} bytes")
    if size > 1024 * 1024 and size > wire * MAX_RATIO:
        raise MalformedResponse(f"the body inflates more than {MAX_RATIO} times")

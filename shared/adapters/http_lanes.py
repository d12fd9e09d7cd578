"""Connections to foreign HTTP servers: aiohttp, one connection to a lane, lanes on a free list.

aiohttp sends and parses. What it would do beyond that is not left to it: no cookies, no redirects, no second attempt,
no decompression, nothing from the environment. Its own pool has no limit of idle connections over all origins, and
gives a connection again on which bytes have arrived that nobody asked for; so each lane is a pool of one with a check.
"""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from shared.adapters.http_calls import Call, Unsendable

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)
KEPT_SECONDS = 30

LONGEST_FIELD = 100 * 1024
"""Bytes of a status line, and of the name and value of a header."""

MOST_FIELDS = 256

READ_AT_ONCE = 256 * 1024
"""Bytes of a body that may wait to be read; twice as many stop the sender."""


class Broken(Exception):
    """There is no whole response; the request may have been received. The message is the name of an error."""


def tls_context() -> ssl.SSLContext:
    """Trusts what the system does, or SSL_CERT_FILE and SSL_CERT_DIR. It takes 25 ms, so there is one for many."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Lanes:
    """A last-in-first-out free list of lanes, at most `idle_limit` of them; the longest unused go first."""

    def __init__(self, context: ssl.SSLContext, idle_limit: int):
        self._context = context
        self._idle_limit = idle_limit
        self._free: list[tuple[str, _Lane]] = []
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def answered(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response, its body yet to be read, within the block.

        Raises Unsendable, or Broken also while the body is read. A connection whose body was not read is closed.
        """
        lane = self._free_lane(call.origin) or _Lane(self._context)
        whole = False
        try:
            answer = await lane.sent(call)
            try:
                _check_head(answer)
                yield answer
                whole = lane.is_whole(answer)
            finally:
                if not whole:
                    answer.close()
        except (aiohttp.ClientError, OSError) as error:
            raise Broken(_root(error)) from None
        finally:
            self._release(call.origin, lane, whole)

    async def close(self) -> None:
        while self._free:
            await self._free.pop()[1].close()
        if self._closing:
            await asyncio.wait(self._closing)

    def _free_lane(self, origin: str) -> "_Lane | None":
        for place in reversed(range(len(self._free))):
            if self._free[place][0] == origin:
                return self._free.pop(place)[1]
        return None

    def _release(self, origin: str, lane: "_Lane", whole: bool) -> None:
        if not whole:
            self._discard(lane)
            return
        self._free.append((origin, lane))
        if len(self._free) > self._idle_limit:
            self._discard(self._free.pop(0)[1])

    def _discard(self, lane: "_Lane") -> None:
        task = asyncio.create_task(lane.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Lane:
    """One request at a time over one connection, opened when there is none."""

    def __init__(self, context: ssl.SSLContext):
        self._connection = _Connection(context)
        self._session = aiohttp.ClientSession(
            connector=self._connection,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=TIMEOUT,
            auto_decompress=False,
            read_bufsize=READ_AT_ONCE,
            max_line_size=LONGEST_FIELD,
            max_field_size=LONGEST_FIELD,
            max_headers=MOST_FIELDS,
            middlewares=(_once,),
        )

    async def sent(self, call: Call) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(
                call.method,
                call.url,
                headers=call.headers,
                data=call.content,
                allow_redirects=False,
                skip_auto_headers=("Content-Type",) if call.method == "POST" else None,
            )
        except ValueError as error:
            raise Unsendable(type(error).__name__) from None

    def is_whole(self, answer: aiohttp.ClientResponse) -> bool:
        """Whether the body was read to its end. Raises Broken where a reset was taken for the end."""
        has_length = "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers
        if not has_length and self._connection.was_reset():
            raise Broken("ConnectionResetError")
        return answer.closed

    async def close(self) -> None:
        await self._session.close()


class _Connection(aiohttp.TCPConnector):
    """Keeps one connection, and gives it again only where nothing has arrived since the last response.

    What nobody asked for would be taken for the answer to the next request, which may be another user's.
    """

    def __init__(self, context: ssl.SSLContext):
        super().__init__(
            limit=1,
            ssl=context,
            keepalive_timeout=KEPT_SECONDS,
            resolver=aiohttp.ThreadedResolver(),
            use_dns_cache=False,
        )
        self._kept: ResponseHandler | None = None

    def was_reset(self) -> bool:
        return self._kept is not None and isinstance(self._kept.exception(), OSError)

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is not self._kept or _is_quiet(self._kept):
                self._kept = connection.protocol
                return connection
            connection.close()


def _is_quiet(protocol: ResponseHandler | None) -> bool:
    """Neither closed, nor with bytes or an end that the event loop or we have not seen yet."""
    if protocol is None or protocol.transport is None or protocol.should_close or not protocol.is_connected():
        return False
    poll = select.poll()
    poll.register(protocol.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp repeats a GET whose connection breaks, by itself; each request has to be counted and is sent once."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Broken(_root(error)) from None


def _check_head(answer: aiohttp.ClientResponse) -> None:
    """What the lenient parser lets through although the end of the body, or who speaks next, is not certain."""
    if answer.status < 200:
        raise Broken("BadStatusLine")
    if [coding.lower() for coding in answer.headers.getall("Transfer-Encoding", ())] not in ([], ["chunked"]):
        raise Broken("TransferEncodingError")


def _root(error: BaseException) -> str:
    """The name of what happened first; the text may repeat the request."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__

"""What each fault looks like on the wire.

Each function gets the page as it should have been and answers something else. The faults that are a page,
though not the expected one (an empty page, a repeated page), are made in `server`.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from devtools.demo_api.faults import Fault, Faults
from devtools.demo_api.graph_errors import GraphError, app_limit_reached, temporary_trouble

_DRIPS = 12  # pieces of a slow body

_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_LOGIN = b"""<!DOCTYPE html>
<html><head><title>Log in</title></head>
<body><form action="/login" method="post"><input name="user"><input name="password" type="password">
<button>Log in</button></form></body></html>"""


@dataclass(frozen=True)
class Spoiled:
    """A request whose answer is to be spoiled, and the answer it would have had."""

    request: web.BaseRequest
    body: bytes
    headers: Mapping[str, str]
    faults: Faults
    now: float


class ConnectionCutError(Exception):
    """The connection was reset on purpose: there is nothing left to answer."""


def json_response(body: bytes, headers: Mapping[str, str], status: int = 200) -> web.Response:
    """The body as JSON."""
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def error_response(error: GraphError, headers: Mapping[str, str] | None = None) -> web.Response:
    """A Graph error with its own headers and those given."""
    return json_response(error.body, {**(headers or {}), **error.headers}, error.status)


async def spoil(fault: Fault, spoiled: Spoiled) -> web.StreamResponse:
    """Answer with the fault. Raises ConnectionCutError after a reset."""
    return await _ANSWERS[fault](spoiled)


async def _throttled_seconds(spoiled: Spoiled) -> web.StreamResponse:
    seconds = str(spoiled.faults.retry_after_seconds)
    return error_response(app_limit_reached(headers={"Retry-After": seconds}), spoiled.headers)


async def _throttled_date(spoiled: Spoiled) -> web.StreamResponse:
    date = formatdate(spoiled.now + spoiled.faults.retry_after_seconds, usegmt=True)
    return error_response(app_limit_reached(headers={"Retry-After": date}), spoiled.headers)


async def _throttled_bare(spoiled: Spoiled) -> web.StreamResponse:
    return error_response(app_limit_reached(), spoiled.headers)


async def _server_error(spoiled: Spoiled) -> web.StreamResponse:
    return error_response(temporary_trouble(500), spoiled.headers)


async def _bad_gateway(_: Spoiled) -> web.StreamResponse:
    return web.Response(body=_BAD_GATEWAY, status=502, content_type="text/html")


async def _unavailable(spoiled: Spoiled) -> web.StreamResponse:
    seconds = str(spoiled.faults.retry_after_seconds)
    return error_response(temporary_trouble(503, {"Retry-After": seconds}), spoiled.headers)


async def _reset_before(spoiled: Spoiled) -> web.StreamResponse:
    raise _cut(spoiled.request)


async def _reset_midway(spoiled: Spoiled) -> web.StreamResponse:
    response = await _begin(spoiled)
    await response.write(spoiled.body[: len(spoiled.body) // 2])
    raise _cut(spoiled.request)


async def _slow_drip(spoiled: Spoiled) -> web.StreamResponse:
    response = await _begin(spoiled)
    size = len(spoiled.body) // _DRIPS + 1
    for start in range(0, len(spoiled.body), size):
        await asyncio.sleep(spoiled.faults.slow_drip_seconds / _DRIPS)
        await response.write(spoiled.body[start : start + size])
    await response.write_eof()
    return response


async def _truncated_json(spoiled: Spoiled) -> web.StreamResponse:
    return json_response(spoiled.body[: len(spoiled.body) // 2], spoiled.headers)


async def _malformed_json(spoiled: Spoiled) -> web.StreamResponse:
    return json_response(spoiled.body[:-1] + b",}", spoiled.headers)


async def _transient_in_200(spoiled: Spoiled) -> web.StreamResponse:
    return error_response(temporary_trouble(200), spoiled.headers)


async def _throttle_in_200(spoiled: Spoiled) -> web.StreamResponse:
    return error_response(app_limit_reached(200), spoiled.headers)


async def _html_login(_: Spoiled) -> web.StreamResponse:
    return web.Response(body=_LOGIN, content_type="text/html")


async def _begin(spoiled: Spoiled) -> web.StreamResponse:
    """Send the headers of the right answer, with its full length."""
    response = web.StreamResponse(headers=spoiled.headers)
    response.content_type = "application/json"
    response.content_length = len(spoiled.body)
    await response.prepare(spoiled.request)
    return response


def _cut(request: web.BaseRequest) -> ConnectionCutError:
    """Reset the connection: with SO_LINGER 0 the peer gets a RST instead of an orderly end."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return ConnectionCutError()


_ANSWERS: dict[Fault, Callable[[Spoiled], Awaitable[web.StreamResponse]]] = {
    Fault.THROTTLED_SECONDS: _throttled_seconds,
    Fault.THROTTLED_DATE: _throttled_date,
    Fault.THROTTLED_BARE: _throttled_bare,
    Fault.SERVER_ERROR: _server_error,
    Fault.BAD_GATEWAY: _bad_gateway,
    Fault.UNAVAILABLE: _unavailable,
    Fault.RESET_BEFORE: _reset_before,
    Fault.RESET_MIDWAY: _reset_midway,
    Fault.SLOW_DRIP: _slow_drip,
    Fault.TRUNCATED_JSON: _truncated_json,
    Fault.MALFORMED_JSON: _malformed_json,
    Fault.TRANSIENT_IN_200: _transient_in_200,
    Fault.THROTTLE_IN_200: _throttle_in_200,
    Fault.HTML_LOGIN: _html_login,
}
# Faults that are a page all the same: their records count as shown, as the client may keep them.
PAGE_FAULTS = frozenset({Fault.SLOW_DRIP, Fault.EMPTY_PAGE, Fault.REPEATED_PAGE})
WIRE_FAULTS = frozenset(_ANSWERS)

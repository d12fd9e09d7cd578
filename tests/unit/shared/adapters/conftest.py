"""A source that misbehaves on demand, a real HTTP server on a free port of the loopback, and a client that calls it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from shared.adapters.source_http import SourceHttp
from shared.pipeline.auth import Attachment
from shared.pipeline.requests import PageRequest, origin_of
from shared.pipeline.responses import Response

BEARER = Attachment(headers=(("Authorization", "Bearer canary-token"),))
GENEROUS = 60.0
CONTEXT = ssl.create_default_context()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpSource:
    """`requests` and `bodies` are what it was asked, `answers` what it does for a path; `raw` are bytes in place of a
    response."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answers: dict[str, Handler] = {}
        self.raw: dict[str, list[bytes]] = {}
        self.connections = 0
        self.base = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        if request.path in self.raw:
            return await self._write_raw(request)
        if request.path in self.answers:
            return await self.answers[request.path](request)
        return web.json_response({"data": []})

    async def _write_raw(self, request: web.Request) -> web.StreamResponse:
        """The bytes as they are, and then the end of the connection."""
        assert request.transport is not None
        for part in self.raw[request.path]:
            request.transport.write(part)  # type: ignore[attr-defined]  # a TCP transport can
            await asyncio.sleep(0)
        request.transport.close()
        return web.Response()


@pytest.fixture
async def http_source() -> AsyncIterator[HttpSource]:
    source = HttpSource()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", source.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    source.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield source
    await runner.cleanup()


@dataclass
class Seconds:
    """A monotonic clock that passes only when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Called:
    """A client under test, and the server it calls."""

    source: HttpSource
    http: SourceHttp
    clock: Seconds = field(default_factory=Seconds)

    async def get(
        self, path: str = "/", user: str = "ann", attachment: Attachment = BEARER, **headers: str
    ) -> Response:
        request = PageRequest(self.source.base + path, headers, frozenset({origin_of(self.source.base)}))
        return await self.http.fetch(user, request, attachment)

    async def ask(self, path: str, **asked: Any) -> Response:
        """With what else a PageRequest has."""
        request = PageRequest(self.source.base + path, {}, frozenset({origin_of(self.source.base)}))
        return await self.http.fetch("ann", replace(request, **asked), BEARER)

    @property
    def last(self) -> web.Request:
        return self.source.requests[-1]


def called_with(source: HttpSource, seconds: float = GENEROUS, idle: float = 300, limit: int = 1000) -> Called:
    clock = Seconds()
    return Called(source, SourceHttp(seconds, idle, limit, clock, CONTEXT), clock)


@pytest.fixture
async def called(http_source: HttpSource) -> AsyncIterator[Called]:
    called = called_with(http_source)
    yield called
    await called.http.close()

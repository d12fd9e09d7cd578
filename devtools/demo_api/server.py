"""The HTTP server: who asks, may they, what do they get, and what goes wrong with it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from devtools.demo_api.catalogue import PAGE_RECORDS, catalogue
from devtools.demo_api.cursors import Cursors
from devtools.demo_api.envelopes import CURSOR_PARAMETERS, ENVELOPES, Link
from devtools.demo_api.fault_responses import (
    PAGE_FAULTS,
    WIRE_FAULTS,
    ConnectionCutError,
    Spoiled,
    error_response,
    json_response,
    spoil,
)
from devtools.demo_api.faults import MOVED_RECORD, NO_FAULTS, Fault, FaultPlan, Faults
from devtools.demo_api.graph_errors import (
    GraphError,
    expired_token,
    invalid_limit,
    invalid_token,
    unknown_path,
)
from devtools.demo_api.limits import Limits
from devtools.demo_api.stats import Stats
from devtools.demo_api.streams import START, Page, Position, Stream
from devtools.demo_api.truth import truth_lines

HOST = "127.0.0.1"
_DEFAULT_LIMIT = 25


@dataclass(frozen=True)
class Options:
    """What one server is like. Rates are requests a second, 0 for unlimited."""

    users: int = 200
    seed: int = 7
    pages_scale: float = 1.0
    latency_seconds: float = 0.0
    user_rate: float = 5.0
    app_rate: float = 200.0
    cursor_seconds: float = 0.0
    faults: Faults = NO_FAULTS


@dataclass(frozen=True)
class Asked:
    """A request that passed: whose stream, from where, how many."""

    user: str
    token: str
    stream: Stream
    position: Position
    limit: int
    now: float


class DemoApi:
    """The state of one server and its answers."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.catalogue = catalogue(options.users, options.seed, options.pages_scale, options.faults)
        self.stats = Stats()
        self._cursors = Cursors(options.seed, options.cursor_seconds)
        self._limits = Limits(options.user_rate, options.app_rate)
        self._plan = FaultPlan(options.faults, options.seed)

    def __str__(self) -> str:
        content = self.catalogue
        return f"{self.options.users} users, {content.records():,} records, {content.pages():,} pages of 100"

    def application(self) -> web.Application:
        """All routes. Whatever else is asked for gets a Graph error."""
        application = web.Application()
        application.router.add_get("/v1/{owner}/{stream}", self.stream_page, allow_head=False)
        application.router.add_get("/truth", self.truth)
        application.router.add_get("/stats", self.statistics)
        application.router.add_get("/healthz", self.healthz)
        application.router.add_route("*", "/{path:.*}", self.unknown)
        return application

    async def stream_page(self, request: web.Request) -> web.StreamResponse:
        """One page of one of the caller's own streams."""
        if self.options.latency_seconds:
            await asyncio.sleep(self.options.latency_seconds)
        try:
            response = await self._answer(request)
        except GraphError as error:
            response = error_response(error)
        except ConnectionCutError:
            self.stats.statuses["reset"] += 1
            return web.Response()  # goes nowhere: the connection is gone
        self.stats.statuses[str(response.status)] += 1
        return response

    async def truth(self, request: web.Request) -> web.StreamResponse:
        """See `truth`. For the comparison only: needs no token."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for line in truth_lines(self.catalogue):
            await response.write(line.encode() + b"\n")
        await response.write_eof()
        return response

    async def statistics(self, _: web.Request) -> web.StreamResponse:
        """See `Stats`."""
        return web.Response(text=self.stats.as_json(), content_type="application/json")

    async def healthz(self, _: web.Request) -> web.StreamResponse:
        """Answers as soon as the server does."""
        return web.Response(text='{"status":"ok"}', content_type="application/json")

    async def unknown(self, _: web.Request) -> web.StreamResponse:
        """404 for every other path."""
        return error_response(unknown_path())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        now = time.time()
        user, token = self._caller(request)
        headers = self._admit(user, now)
        asked = self._asked(request, user, token, now)
        fault = self._fault(asked)
        page = self._page(asked, fault)
        body = self._body(asked, page, f"http://{request.host}{request.path}")
        if fault in WIRE_FAULTS:
            return await spoil(fault, Spoiled(request, body, headers, self.options.faults, now))
        return json_response(body, headers)

    def _caller(self, request: web.Request) -> tuple[str, str]:
        """User and token. The token decides who somebody is; a path or a second token may not disagree."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        repeated = request.query.get("access_token", "")
        token = bearer or repeated
        user = self.catalogue.tokens.get(token)
        owner = request.match_info["owner"]
        if user is None or (repeated and repeated != token) or owner not in ("me", user):
            raise invalid_token()
        self.stats.calls[user] += 1
        if user in self.catalogue.expired:
            raise expired_token()
        return user, token

    def _admit(self, user: str, now: float) -> dict[str, str]:
        try:
            return self._limits.admit(user, now)
        except GraphError:
            self.stats.limited += 1
            raise

    def _asked(self, request: web.Request, user: str, token: str, now: float) -> Asked:
        stream = self.catalogue.streams.get((user, request.match_info["stream"]))
        if stream is None:
            raise unknown_path()
        limit = _limit(request.query.get("limit", str(_DEFAULT_LIMIT)))
        cursor = request.query.get(CURSOR_PARAMETERS[stream.name])
        position = self._cursors.read(user, stream.name, cursor, now) if cursor else START
        return Asked(user, token, stream, position, limit, now)

    def _fault(self, asked: Asked) -> Fault | None:
        attempt = asked.stream.tries[asked.position]
        asked.stream.tries[asked.position] += 1
        fault = self._plan.fault(asked.user, asked.stream.name, asked.position, attempt)
        if fault:
            self.stats.faults[fault] += 1
        return fault

    def _page(self, asked: Asked, fault: Fault | None) -> Page:
        """The page to answer with; a page that a client may keep is noted as shown, and may move a record."""
        if fault is Fault.EMPTY_PAGE:
            return Page([], asked.position._replace(detour=asked.position.detour + 1))
        page = asked.stream.page(asked.position, asked.limit)
        if fault is None or fault in PAGE_FAULTS:
            self._move(asked, page)
            asked.stream.show(page)
            self.stats.pages += 1
            self.stats.records += len(page.entries)
        if fault is Fault.REPEATED_PAGE:
            return Page(page.entries, asked.position)
        if asked.user in self.catalogue.looping:
            return Page(page.entries, _looping(asked.position, page))
        return page

    def _move(self, asked: Asked, page: Page) -> None:
        if page.next is None or not asked.stream.may_move(asked.position):
            return
        draw = self._plan.move(asked.user, asked.stream.name, asked.position)
        if draw is not None and asked.stream.move(asked.position, draw):
            self.stats.faults[MOVED_RECORD] += 1

    def _body(self, asked: Asked, page: Page, url: str) -> bytes:
        stream = asked.stream
        last = Position(*page.entries[-1][:2]) if page.entries else None
        place = page.next or last
        after = self._cursors.write(asked.user, stream.name, place, asked.now) if place else None
        link = Link(url, asked.token, asked.limit)
        return ENVELOPES[stream.name](stream.render(page.entries), after, page.next is not None, link)


def _limit(text: str) -> int:
    """Up to 100; more is clamped without a word, as real servers do."""
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise invalid_limit(text)
    return min(int(text), PAGE_RECORDS)


def _looping(position: Position, page: Page) -> Position:
    """The second page names itself as the next one, for ever."""
    return position if position != START else page.next or START._replace(detour=1)


@asynccontextmanager
async def serving(api: DemoApi, port: int = 0) -> AsyncIterator[int]:
    """Serve on the loopback interface; yields the port. Raises OSError when the port is in use."""
    settings: dict[str, Any] = {"access_log": None, "shutdown_timeout": 1.0}
    runner = web.AppRunner(api.application(), **settings)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()

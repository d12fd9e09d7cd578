"""Several workers mine with the tokens of a real OAuth2 server: it rotates, ends, revokes, is slow and loses answers.

The HTTP is real on both sides; tables, broker and time are in memory. Tokens are canaries: whatever leaves the process
is searched for them.
"""

import asyncio
import base64
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote_plus

import pytest
from aiohttp import web

from shared.adapters.source_http import SourceHttp
from shared.adapters.token_http import TokenHttp
from shared.checkpoint import Checkpoint, RunState
from shared.log import invocation
from shared.pipeline.access_tokens import TokenRequest
from shared.pipeline.auth import Attachment
from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Response
from shared.users import User
from tests.fakes.memory_broker import Delivered
from tests.fakes.token_server import TokenServer
from tests.fakes.world import World
from tests.integration.test_no_secret_leaves import (
    KeepingTable,
    all_that_left,
    forms,
    log,  # noqa: F401 - a fixture
)

STREAMS = ("posts", "photos", "likes", "events")
USERS = ("ann", "bob", "cleo")
WORKERS = 6
SECONDS_A_PAGE = 7.0

AUTH = """
pipeline: social
source:
  base_url: "{params.base_url}"
  auth:
    type: oauth2_refresh_token
    token_url: "{params.base_url}/token"
    client_id: "{user.id}"
    client_secret: "{credentials.secret}"
    client_auth: basic
    refresh_token: "{credentials.refresh}"
streams:"""
STREAM = """
  - name: {name}
    path: /{name}
    records: data
    primary_key: id
    paginator: {{ type: json_link, next_url_path: next }}"""


def canary(user: str, name: str) -> str:
    """With characters that look different in a URL, in JSON and in base64."""
    return f"canary-{user}+/=&\"'{name}-yranac"


@dataclass
class Site:
    """An API and its token endpoint on one port. `meddle` happens while an answer of the endpoint is on its way, and
    may take its place; `most` is how many exchanges were under way for one user at a time; `before_page` hears of
    each page."""

    tokens: TokenServer
    meddle: Callable[[web.Request, int], Awaitable[web.StreamResponse | None]]
    before_page: Callable[[str, str], None] = lambda user, token: None
    base: str = ""
    asking: Counter[str] = field(default_factory=Counter)
    most: int = 0
    exchanges: int = 0
    cookies: list[str] = field(default_factory=list)

    async def token(self, request: web.Request) -> web.StreamResponse:
        user = base64.b64decode(request.headers["Authorization"][6:]).decode().split(":")[0]
        self.cookies += request.headers.getall("Cookie", [])
        self.asking[user] += 1
        self.exchanges += 1
        self.most = max(self.most, self.asking[user])
        answer = self.tokens.exchange({name: str(value) for name, value in (await request.post()).items()})
        instead = await self.meddle(request, self.exchanges)
        self.asking[user] -= 1
        return instead or over_http(answer)

    async def page(self, request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        found = self.tokens.granted.get(token)
        self.before_page(found.user if found else "", token)
        if found is None or not self.tokens.accepts(found.user, token):
            return web.json_response({"error": {"code": token, "message": token}}, status=401)
        start = int(request.query.get("after", "0"))
        following = str(request.rel_url.with_query({"after": start + 2, "access_token": token}))
        data = [{"id": f"{request.path} {start}"}, {"id": f"{request.path} {start + 1}"}]
        return web.json_response({"data": data, "next": following if start < 8 else None})


def over_http(answer: Response) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, content_type="application/json")
    response.set_cookie("session", "somebodys")
    return response


async def calmly(request: web.Request, number: int) -> None:
    return None


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site, app = Site(TokenServer(lambda: 0.0, minted=canary), calmly), web.Application()
    app.router.add_post("/token", site.token)
    app.router.add_get("/{stream}", site.page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


@pytest.fixture
async def world(site: Site) -> AsyncIterator[World]:
    """Every page takes some seconds of its time; whoever waits lets the others go on."""
    world = World(lambda call: pytest.fail("the source is a real one"), AUTH + "".join(map(streamed, STREAMS)))
    for name in ("streams", "users", "open_runs", "parked", "schedules", "control", "tokens", "budgets"):
        setattr(world, name, KeepingTable())
    source, endpoint = SourceHttp(30, 300, 1000), TokenHttp(30)

    async def sleep(seconds: float) -> None:
        await world.clock.sleep(seconds)
        await asyncio.sleep(0)

    world.services = replace(world._services(), source=source, token_endpoint=endpoint, sleep=sleep)
    site.tokens.now = world.token_server.now
    site.before_page = lambda user, token: world.later(seconds=SECONDS_A_PAGE)
    yield world
    await source.close()
    await endpoint.close()


def streamed(name: str) -> str:
    return STREAM.format(name=name)


async def let_in(world: World, site: Site, *users: str, name: str = "seed") -> None:
    for user in users:
        site.tokens.refresh_tokens[canary(user, name)] = user
        credentials = {"refresh": canary(user, name), "secret": canary(user, "secret")}
        await world.services.users.put(User(user, credentials, {"base_url": site.base}))


async def mined(world: World) -> None:
    """As a host does it: so many invocations at a time. Time passes by itself only when none is under way."""
    await world.schedule()
    running: set[asyncio.Task[None]] = set()
    while True:
        while len(running) < WORKERS and (delivered := world.broker.receive()) is not None:
            running.add(asyncio.create_task(invoked(world, delivered)))
        if running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        elif (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
        else:
            break
    assert world.broker.dead_letters == []


async def invoked(world: World, delivered: Delivered) -> None:
    async with invocation("mine") as line:
        line.outcome = await world.handle(delivered)


async def checkpoints(world: World) -> list[Checkpoint]:
    return await world.services.checkpoints.all()


def mined_by(world: World, user: str) -> list[object]:
    return sorted(str(line["id"]) for line in world.lines() if line["_user"] == user)


ALL = sorted(f"/{stream} {number}" for stream in STREAMS for number in range(10))


async def test_of_many_workers_one_asks_and_all_use_the_token(site: Site, world: World):
    await let_in(world, site, *USERS)
    await mined(world)
    assert {user: mined_by(world, user) for user in USERS} == dict.fromkeys(USERS, ALL)
    assert site.most == 1
    assert site.cookies == []
    assert max(Counter(user for _, user in site.tokens.exchanges).values()) == 1


async def test_whoever_waits_for_a_slow_endpoint_comes_back_later(site: Site, world: World):
    """The answer takes until the other three streams have given up waiting for it."""

    async def slowly(request: web.Request, number: int) -> None:
        while sum(each.what == "postponed" for _, each in world.outcomes) < 3:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0)

    site.meddle = slowly
    await let_in(world, site, "ann")
    await mined(world)
    assert mined_by(world, "ann") == ALL
    assert (site.exchanges, site.most) == (1, 1)


TROUBLES: dict[int, Callable[[], web.Response]] = {
    1: lambda: web.Response(status=503, headers={"Retry-After": "3"}),
    2: lambda: web.Response(status=429, headers={"Retry-After": "9"}),
    3: lambda: web.Response(text="<html>busy</html>", content_type="text/html"),
    4: lambda: web.json_response({"error": "temporarily_unavailable"}, status=400),
}


async def unreliably(request: web.Request, number: int) -> web.StreamResponse | None:
    """Of six answers four are about something else though the exchange has happened, and one is lost."""
    if number % 6 == 5:
        assert request.transport is not None
        request.transport.close()
    return TROUBLES[number % 6]() if number % 6 in TROUBLES else None


async def test_all_comes_out_once_while_tokens_end_and_answers_are_lost(site: Site, world: World, log: io.StringIO):  # noqa: F811 - the fixture
    """And no token is found anywhere but, encrypted, in its row."""
    site.meddle, site.tokens.life = unreliably, 300
    pages = 0

    def before_page(user: str, token: str) -> None:
        nonlocal pages
        world.later(seconds=SECONDS_A_PAGE)
        pages += 1
        found = site.tokens.granted.get(token)
        if pages % 10 == 0 and found and site.tokens.now() - found.at > 60:
            site.tokens.end_access(user)

    site.before_page = before_page
    await let_in(world, site, *USERS)
    await mined(world)
    assert {user: mined_by(world, user) for user in USERS} == dict.fromkeys(USERS, ALL)
    assert {each.state for each in await checkpoints(world)} == {RunState.DONE}
    assert len(site.tokens.exchanges) > 2 * len(USERS)
    secrets = [*site.tokens.every, *(canary(user, name) for user in USERS for name in ("seed", "secret"))]
    assert found_in(all_that_left(world, log), secrets) == []
    assert "the connection to the token endpoint failed" in log.getvalue()


async def test_who_is_revoked_stops_alone_and_goes_on_with_a_new_refresh_token(
    site: Site,
    world: World,
    log: io.StringIO,  # noqa: F811 - the fixture
):
    def before_page(user: str, token: str) -> None:
        world.later(seconds=SECONDS_A_PAGE)
        if user == "bob":
            site.tokens.revoke("bob")

    site.before_page = before_page
    await let_in(world, site, *USERS)
    await mined(world)
    stopped = {each.key.user for each in await checkpoints(world) if each.reason == "invalid_credential"}
    assert stopped == {"bob"}
    assert {user: mined_by(world, user) for user in ("ann", "cleo")} == dict.fromkeys(("ann", "cleo"), ALL)
    assert found_in(all_that_left(world, log), site.tokens.every) == []
    site.before_page = lambda user, token: None
    await let_in(world, site, "bob", name="another-seed")
    world.later(hours=1)
    await mined(world)
    assert mined_by(world, "bob") == ALL


def found_in(left: dict[str, bytes], secrets: list[str]) -> list[str]:
    """Where which was found, in any form."""
    return [
        f"{place}: {form!r}" for secret in secrets for form in forms(secret) for place in left if form in left[place]
    ]


async def test_a_token_would_be_found_in_any_form(world: World):
    """The search itself can fail."""
    secret = canary("ann", "access-1")
    for form in forms(secret):
        left = all_that_left(world, io.StringIO(f"x{form.decode()}y"))
        assert found_in(left, [secret])


async def test_an_error_that_nobody_translated_shows_no_token(site: Site, world: World, log: io.StringIO):  # noqa: F811 - the fixture
    """Neither on the way to the endpoint, where it carries form and header, nor on the way to the source."""

    class BrokenEndpoint(TokenHttp):
        async def exchange(self, user: str, request: TokenRequest) -> Response:
            if site.exchanges == 0:
                site.exchanges += 1
                raise RuntimeError(f"at {request.form!r} {request.headers!r}")
            return await super().exchange(user, request)

    class BrokenSource(SourceHttp):
        async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
            raise RuntimeError(f"at {attachment.headers!r}")

    world.services = replace(world.services, token_endpoint=BrokenEndpoint(30), source=BrokenSource(30, 300, 1000))
    await let_in(world, site, "ann")
    await world.schedule()
    for _ in range(3):
        delivered = world.broker.receive()
        assert delivered is not None
        world.later(minutes=2)
        with pytest.raises(RuntimeError):
            await invoked(world, delivered)
    pair = base64.b64encode(f"ann:{quote_plus(canary('ann', 'secret'))}".encode()).decode()
    secrets = [*site.tokens.every, canary("ann", "seed"), canary("ann", "secret"), pair]
    assert len(site.tokens.every) == 2
    assert found_in(all_that_left(world, log), secrets) == []
    assert log.getvalue().count("RuntimeError") == 3
    assert "[hidden]" in log.getvalue()

"""Canaries: users are mined whose credentials can be recognized anywhere, by a source that gives them away.

Everything that leaves the process is then searched for them: log lines, messages, table rows as they were ever
written, pages and output.
"""

import base64
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest
import zstandard
from aiohttp import web

from processors.dead_letters import Letter, handle
from shared.adapters.service_bus import Outgoing
from shared.adapters.source_http import SourceHttp
from shared.adapters.tables import Row
from shared.checkpoint import RunState
from shared.log import guard_handlers, invocation
from shared.messages import StreamKey
from shared.users import User
from tests.fakes.memory_broker import MAX_DELIVERIES
from tests.fakes.memory_tables import MemoryTable
from tests.fakes.world import World

PIPELINE = """
pipeline: social
source:
  base_url: "{params.base_url}"
  auth: AUTH
  headers: { X-User: "{user.id}" }
streams:
  - name: posts
    path: /posts
    records: data
    primary_key: id
    paginator: { type: json_link, next_url_path: next }
"""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

AUTHS = {
    "bearer": '{ type: bearer, token: "{credentials.token}" }',
    "header": '{ type: api_key, name: X-Key, key: "{credentials.token}" }',
    "query": '{ type: api_key, name: key, key: "{credentials.token}", location: query }',
    "basic": '{ type: http_basic, username: "{user.id}", password: "{credentials.token}" }',
}


def canary(user: str) -> str:
    """With characters that look different in a URL, in JSON and in base64."""
    return f"canary-{user}+/=&\"é'{user}-yranac"


def forms(secret: str) -> Iterator[bytes]:
    """As it is, in URLs, in JSON, in `repr`, and in base64 at each of its three alignments."""
    for text in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
        yield text.encode()
    yield repr(secret)[1:-1].encode()
    for shift in range(3):
        inside = base64.b64encode(b"\0" * shift + secret.encode())[4:-4]
        yield inside
        yield inside.translate(bytes.maketrans(b"+/", b"-_"))


Answer = Callable[[web.Request, str], web.StreamResponse]


def page(*ids: int, following: str | None = None) -> web.Response:
    return web.json_response({"data": [{"id": number} for number in ids], "next": following})


def _fine(request: web.Request, token: str) -> web.StreamResponse:
    """Two pages; the link to the second one repeats the token."""
    if "after" in request.query:
        return page(2, 3)
    return page(0, 1, following=f"/posts?after=1&access_token={quote(token, safe='')}&x=1")


def _redirect(request: web.Request, token: str) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"https://evil.example/?access_token={quote(token)}"})


def _cookie(request: web.Request, token: str) -> web.StreamResponse:
    response = page(0, 1, following=None if "after" in request.query else "/posts?after=1")
    response.headers["Set-Cookie"] = f"session={quote(token)}; Path=/"
    return response


ANSWERS: dict[str, Answer] = {
    "fine": _fine,
    "redirect": _redirect,
    "cookie": _cookie,
    "unauthorized": lambda request, token: web.json_response({"error": {"code": token, "message": token}}, status=401),
    "code": lambda request, token: web.json_response({"error": {"code": token, "message": token}}),
    "refused": lambda request, token: web.json_response({"error": {"code": token}}, status=400),
    "broken": lambda request, token: web.json_response({"error": token}, status=500, reason="no " + quote(token)),
    "html": lambda request, token: web.Response(text=f"<html>{token}</html>", content_type="text/html"),
    "type": lambda request, token: web.Response(body=b"{", headers={"Content-Type": f"text/{quote(token)}"}),
    "encoding": lambda request, token: web.Response(
        body=b"{}", headers={"Content-Encoding": quote(token, safe="")}, zlib_executor_size=1
    ),
    "throttled": lambda request, token: web.Response(status=429, headers={"Retry-After": quote(token)}),
    "foreign": lambda request, token: page(0, following=f"https://evil.example/?access_token={quote(token)}"),
    "loop": lambda request, token: page(0, following=f"/posts?after=1&access_token={quote_plus(token)}"),
    "no_link": lambda request, token: page(0, following=f"http://[{token}"),
    "odd_link": lambda request, token: web.json_response({"data": [], "next": {"token": token}}),
}
"""What the source answers to the user who is called so."""


class KeepingTable(MemoryTable):
    """Remembers every version of every row, also of those that are deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Row] = []

    def _store(self, row: Row) -> str:
        self.written.append(row)
        return super()._store(row)


class Leaky:
    """The source; `seen` are the credentials that it was shown, whatever way."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        user = request.headers["X-User"]
        shown = [*request.query.values(), *(raw.decode() for _, raw in request.raw_headers)]
        shown += [base64.b64decode(each[6:]).decode() for each in shown if each.startswith("Basic ")]
        if any(canary(user) in each for each in shown):
            self.seen.add(user)
        return ANSWERS[user](request, canary(user))


@pytest.fixture
async def leaky() -> AsyncIterator[tuple[Leaky, str]]:
    source, app = Leaky(), web.Application()
    app.router.add_get("/posts", source.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield source, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything at DEBUG, the HTTP libraries too, through the handlers as the app guards them."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    root.addHandler(handler)
    guard_handlers()
    chatty = [root, *map(logging.getLogger, ("aiohttp.client", "asyncio", "headframe"))]
    for logger in chatty:
        logger.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    for logger in chatty[1:]:
        logger.setLevel(logging.WARNING if logger.name != "headframe" else logging.NOTSET)


def keeping_world(auth: str) -> World:
    world = World(lambda call: pytest.fail("the source is a real one"), PIPELINE.replace("AUTH", AUTHS[auth]))
    world.streams, world.users, world.open_runs = KeepingTable(), KeepingTable(), KeepingTable()
    world.parked, world.schedules, world.control = KeepingTable(), KeepingTable(), KeepingTable()
    world.tokens, world.budgets = KeepingTable(), KeepingTable()
    world.services = world._services()
    return world


async def mined(world: World, base: str) -> None:
    """As the blueprints do it, each invocation with its log line; what raises is delivered again."""
    source = SourceHttp(30, 300, 1000)
    world.services = replace(world.services, source=source)
    for user in ANSWERS:
        await world.services.users.put(User(user, {"token": canary(user)}, {"base_url": base}))
    await world.schedule()
    while True:
        if (delivered := world.broker.receive()) is not None:
            async with invocation("mine") as line:
                line.outcome = await world.handle(delivered)
        elif world.broker.dead_letters:
            dead = world.broker.dead_letters.pop(0)
            async with invocation("dead_letter") as line:
                line.outcome = await handle(Letter(dead.queue, dead.body, dead.message_id), world.services)
        elif (due := world.broker.next_due()) is not None:
            world.clock.pass_to(due)
        else:
            break
    await source.close()


def flat(value: object) -> bytes:
    """As bytes, and what is compressed twice: as it is and as it was."""
    if not isinstance(value, bytes):
        return str(value).encode("utf-8", "surrogatepass")
    if value.startswith(ZSTD_MAGIC):
        return value + b" " + zstandard.ZstdDecompressor().decompress(value)
    return value


def all_that_left(world: World, log: io.StringIO) -> dict[str, bytes]:
    """By where it was found."""
    found = {"log": log.getvalue().encode()}
    sent: Iterable[Outgoing] = world.broker.sent
    found["messages"] = b"\n".join(flat(part) for each in sent for part in (each.body, each.message_id, each.queue))
    names = ("streams", "users", "open_runs", "parked", "schedules", "control", "tokens", "budgets")
    for name, table in zip(names, world.tables, strict=True):
        assert isinstance(table, KeepingTable)
        rows = [part for row in table.written for part in (row.partition, row.key, *row.values.values())]
        found[name] = b"\n".join(map(flat, rows))
    for name, objects in (("pages", world.pages.objects), ("output", world.output.objects)):
        found[name] = b"\n".join(flat(part) for item in objects.items() for part in item)
    return found


def leaks(left: dict[str, bytes]) -> list[str]:
    """Where which canary was found, in any form and in any letter case."""
    lowered = {place: data.lower() for place, data in left.items()}
    return [
        f"{place}: {user}: {form!r}"
        for user in ANSWERS
        for form in forms(canary(user))
        for place, data in lowered.items()
        if form.lower() in data
    ]


@pytest.mark.parametrize("auth", AUTHS)
async def test_no_canary_is_found_anywhere(leaky: tuple[Leaky, str], log: io.StringIO, auth: str):
    """Not even in the users table, where it is encrypted."""
    world = keeping_world(auth)
    source, base = leaky
    await mined(world, base)
    assert leaks(all_that_left(world, log)) == []
    # and the test was worth something:
    assert source.seen == ANSWERS.keys()
    ended = {user: await world.checkpoint(StreamKey("social", "posts", user)) for user in ANSWERS}
    assert {user for user, each in ended.items() if each.state is RunState.DONE} == {"fine", "cookie"}
    assert {each.reason for each in ended.values()} >= {"rejected", "invalid_credential", "malformed", "cursor_loop"}
    assert [line["id"] for line in world.lines() if line["_user"] == "fine"] == [0, 1, 2, 3]
    assert "[hidden]" in log.getvalue()


@pytest.mark.parametrize("auth", AUTHS)
async def test_no_canary_is_found_when_handlers_break_in_an_unexpected_way(log: io.StringIO, auth: str):
    """An error that nobody translated carries the request, the headers and all, into the log and the dead letter."""
    world = keeping_world(auth)

    class Broken(SourceHttp):
        async def fetch(self, user: str, request: object, attachment: object) -> object:  # type: ignore[override]  # as broken as can be
            raise RuntimeError(f"at {canary(user)} in {attachment!r} {list(forms(canary(user)))}")

    world.services = replace(world.services, source=Broken(30, 300, 1000))
    await world.services.users.put(User("fine", {"token": canary("fine")}, {"base_url": "http://127.0.0.1:1"}))
    await world.schedule()
    for _ in range(MAX_DELIVERIES):
        message = world.broker.receive()
        assert message is not None
        with pytest.raises(RuntimeError):
            async with invocation("mine"):
                await world.handle(message)
        logging.getLogger("azure.functions").error("Exception while executing function", exc_info=True)
    (dead,) = world.broker.dead_letters
    await handle(Letter(dead.queue, dead.body, dead.message_id), world.services)
    assert leaks(all_that_left(world, log)) == []
    assert log.getvalue().count("RuntimeError") == MAX_DELIVERIES


@pytest.mark.parametrize("place", ["log", "messages", "streams", "users", "parked", "pages", "output"])
@pytest.mark.parametrize("form", range(12))
async def test_a_canary_would_be_found_in_every_place_and_form(place: str, form: int):
    """The search itself can fail."""
    world = keeping_world("bearer")
    text = list(forms(canary("fine")))[form]
    left = all_that_left(world, io.StringIO())
    assert leaks(left) == []
    compressed = zstandard.ZstdCompressor().compress(b"x" + text + b"y")
    if place == "messages":
        await world.broker.send([Outgoing("mine", b"x" + text, "id")])
        left = all_that_left(world, io.StringIO())
    elif place == "log":
        left = all_that_left(world, io.StringIO("x" + text.decode()))
    elif place in {"pages", "output"}:
        getattr(world, place).objects["name"] = compressed
        left = all_that_left(world, io.StringIO())
    else:
        await getattr(world, place).insert(Row("p", "k", {"data": compressed}))
        left = all_that_left(world, io.StringIO())
    assert any(leak.startswith(f"{place}: fine: ") for leak in leaks(left))

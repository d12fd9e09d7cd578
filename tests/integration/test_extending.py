"""The example of docs/extending.md, mined from a server that speaks as its classes expect."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web

from shared.adapters.source_http import SourceHttp
from shared.checkpoint import RunState
from shared.errors import ErrorKind
from shared.messages import StreamKey
from shared.pipeline.loader import load_folder
from shared.users import User
from tests.fakes.world import World

PIPELINES = Path(__file__).parents[2] / "examples" / "weather" / "pipelines"

READINGS = [{"id": number, "fahrenheit": 32 + 9 * number} for number in range(5)]
STATIONS = ["code;name", "A;North", "B;South; by the sea", "C;Äther"]


@dataclass
class Weather:
    """Rows by `Range`, and stations as pages of CSV with a row each. `refused` are tokens and paths, `asked` the
    requests as they came."""

    refused: set[tuple[str, str]] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def readings(self, request: web.Request) -> web.Response:
        self._admit(request)
        start, end = map(int, request.headers["Range"].split("-"))
        rows = READINGS[start : end + 1]
        shown = f"{start}-{start + len(rows) - 1}" if rows else "*"
        return web.json_response(rows, status=206, headers={"Content-Range": f"{shown}/{len(READINGS)}"})

    async def stations(self, request: web.Request) -> web.Response:
        self._admit(request)
        assert request.headers["Accept"] == "text/csv"
        page = int(request.query["page"])
        rows = ["code;name", *(f'{code};"{name}"' for code, _, name in (row.partition(";") for row in STATIONS[1:]))]
        return web.Response(text="\r\n".join([rows[0], *rows[page : page + 1]]), content_type="text/csv")

    def _admit(self, request: web.Request) -> None:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.asked.append((token, request.path, request.headers.get("Range", "")))
        if (token, request.path) in self.refused:
            raise web.HTTPUnauthorized


@pytest.fixture
async def weather() -> AsyncIterator[tuple[Weather, str]]:
    api, app = Weather(), web.Application()
    app.router.add_get("/readings", api.readings)
    app.router.add_get("/stations.csv", api.stations)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        yield api, "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def mined(base: str, *users: str) -> World:
    world, source = World(lambda _: pytest.fail("the script is not asked")), SourceHttp(30, 300, 1000)
    world.services = replace(world.services, source=source, pipelines=load_folder(PIPELINES))
    try:
        for user in users:
            await world.services.users.put(User(user, {"token": f"token-of-{user}"}, {"base_url": base}))
        await world.schedule()
        await world.run()
    finally:
        await source.close()
    return world


async def test_every_record_of_the_example_is_mined_by_its_classes(weather: tuple[Weather, str]):
    """For two users at once, by the same instances: ranges of two rows, in Celsius, and stations from CSV."""
    api, base = weather
    world = await mined(base, "ann", "bob")
    for user in ("ann", "bob"):
        lines = [line for line in world.lines() if line["_user"] == user]
        readings = [(line["id"], line["celsius"]) for line in lines if "celsius" in line]
        assert readings == [(0, 0.0), (1, 5.0), (2, 10.0), (3, 15.0), (4, 20.0)]
        stations = {line["code"]: line["name"] for line in lines if "code" in line}
        assert stations == {"A": "North", "B": "South; by the sea", "C": "Äther"}
        asked = [rows for token, path, rows in api.asked if (token, path) == (f"token-of-{user}", "/readings")]
        assert asked == ["0-1", "2-3", "4-5"]
    assert len(world.lines()) == 2 * (len(READINGS) + 3)
    assert not any("fahrenheit" in line for line in world.lines())


async def test_a_refused_credential_means_for_an_extractor_what_it_means_for_all(weather: tuple[Weather, str]):
    api, base = weather
    api.refused = {("token-of-bob", "/stations.csv")}
    world = await mined(base, "ann", "bob")
    parked = await world.checkpoint(StreamKey("weather", "stations", "bob"))
    assert (parked.state, parked.last_error_kind) == (RunState.PARKED, ErrorKind.INVALID_CREDENTIAL)
    assert (await world.checkpoint(StreamKey("weather", "stations", "ann"))).state is RunState.DONE

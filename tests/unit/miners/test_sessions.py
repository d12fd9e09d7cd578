"""Sessions of records, over pages and runs."""

from datetime import timedelta

from shared.checkpoint import Extent
from shared.pipeline.responses import Response
from shared.runs import cancel
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import START, World

PIPELINE = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: { type: bearer, token: "{credentials.token}" }
streams:
  - name: posts
    path: /me/visits
    records: data
    primary_key: id
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
    incremental: { cursor_path: at, format: epoch_seconds, start_param: since, end_param: until }
    windows: { type: session, gap: 30m }
"""
FIRST = int((START - timedelta(days=1)).timestamp())


class Visits:
    """Visits at so many minutes, two to a page, in the order of time."""

    def __init__(self, *minutes: int):
        self.rows = [{"id": each, "at": FIRST + each * 60} for each in minutes]

    def __call__(self, call: Call) -> Response:
        since, until = int(call.query("since", "0")), int(call.query("until", "9999999999"))
        rows = [row for row in self.rows if since <= row["at"] < until]
        first = int(call.query("after", "0"))
        return answer({"data": rows[first : first + 2], "next": str(first + 2) if first + 2 < len(rows) else None})


async def started(visits: Visits) -> World:
    world = World(visits, PIPELINE)
    await world.add_user()
    await world.schedule()
    return world


async def again(world: World, extent: Extent | None = None) -> None:
    world.later(hours=1)
    if extent is not None:
        await world.services.schedules.request("social", "posts", world.clock.now(), extent)
    await world.schedule()
    await world.run()


def sessions(world: World) -> dict[int, int]:
    """The first visit of the session of each visit, both as their minute."""
    begun = {line["_session"]: line["id"] for line in reversed(world.lines()) if "_session" in line}
    return {line["id"]: begun[line["_session"]] for line in world.lines() if "_session" in line}


async def test_a_session_goes_on_over_pages_and_over_runs():
    visits = Visits(0, 10, 20, 60, 61)
    world = await started(visits)
    await world.run()
    assert sessions(world) == {0: 0, 10: 0, 20: 0, 60: 60, 61: 60}
    visits.rows += Visits(85, 120).rows
    await again(world)
    assert sessions(world) == {0: 0, 10: 0, 20: 0, 60: 60, 61: 60, 85: 60, 120: 120}


async def test_a_run_that_was_cancelled_leaves_the_session_where_it_began():
    """What it had not seen yet comes with the next one."""
    visits = Visits(0, 10, 40, 50, 90)
    world = await started(visits)
    await world.mine_page()
    await world.mine_page()
    await cancel(await world.checkpoint(), "asked for", world.services)
    await world.run()
    visits.rows.insert(2, Visits(25).rows[0])
    await again(world)
    assert {visit: first for visit, first in sessions(world).items() if visit in {25, 90}} == {25: 0, 90: 90}


async def test_a_backfill_has_sessions_of_its_own():
    visits = Visits(0, 10, 60)
    world = await started(visits)
    await world.run()
    visits.rows = Visits(-20, 0, 10, 60, 80).rows
    await again(world, Extent(since=f"{START - timedelta(days=2):%Y-%m-%dT%H:%M:%S.%fZ}", until=""))
    await again(world)
    found = sessions(world)
    assert (found[-20], found[80]) == (-20, 60)

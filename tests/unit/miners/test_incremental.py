"""Runs that go on where the last one ended, runs of a range, and runs that stop at what is known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.checkpoint import Extent, RunState
from shared.messages import StreamKey
from shared.pipeline.responses import Response
from shared.runs import cancel
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import KEY, World

PIPELINE = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: {{ type: bearer, token: "{{credentials.token}}" }}
streams:
  - name: posts
    path: /me/posts
    records: data
    primary_key: id
    paginator: {{ type: cursor, cursor_path: next, cursor_param: after }}
    {options}
"""
SINCE = "incremental: { cursor_path: at, format: number, start_param: since, end_param: until }"


class Posts:
    """An API of posts that are numbered in the order in which they were changed last; `at` is that number."""

    def __init__(self, count: int, *, newest_first: bool = False):
        self.rows = [{"id": number, "at": number} for number in range(1, count + 1)]
        self.newest_first = newest_first
        self.headers: dict[str, str] = {}

    def __call__(self, call: Call) -> Response:
        since, until = int(call.query("since", "0")), int(call.query("until", "999"))
        found = [row for row in self.rows if since <= row["at"] < until]
        found = sorted(found, key=lambda row: row["at"], reverse=self.newest_first)
        first = int(call.query("after", "0"))
        following = str(first + 2) if first + 2 < len(found) else None
        return answer({"data": found[first : first + 2], "next": following}, **self.headers)

    def write(self, identity: int) -> None:
        """A post is written, or written anew."""
        self.rows = [row for row in self.rows if row["id"] != identity]
        self.rows.append({"id": identity, "at": max(row["at"] for row in self.rows) + 1})


async def mined(posts: Posts, options: str = SINCE) -> World:
    world = World(posts, PIPELINE.format(options=options))
    await world.add_user()
    await run(world)
    return world


VALIDATED = """incremental: { cursor_header: ETag, format: opaque, start_header: If-None-Match }
    responses:
      - { status: 304, means: end_of_data }"""


async def test_a_run_that_is_told_that_nothing_has_changed_is_done_and_keeps_its_mark():
    """The third run is asked with the mark of the first, and brings what has changed by then."""
    posts = Posts(2)
    tag = '"v1"'

    def respond(call: Call) -> Response:
        if call.headers.get("If-None-Match") == tag:
            return Response(304, {}, b"")
        return replace(posts(call), headers={"etag": tag})

    world = World(respond, PIPELINE.format(options=VALIDATED))
    await world.add_user()
    await run(world)
    await run(world)
    unchanged = await world.checkpoint()
    assert (unchanged.state, unchanged.records, unchanged.watermark) == (RunState.DONE, 0, '"v1"')
    posts.write(1)
    tag = '"v2"'
    await run(world)
    assert (await world.checkpoint()).watermark == '"v2"'
    assert world.ids() == [1, 2, 1]


async def run(world: World, extent: Extent | None = None) -> list[Call]:
    """One more run of everybody; the calls it made."""
    before = len(world.source.calls)
    world.later(hours=1)
    if extent:
        await world.services.schedules.request(KEY.pipeline, KEY.stream, world.clock.now(), extent)
    await world.schedule()
    await world.run()
    return world.source.calls[before:]


async def test_a_run_asks_for_what_has_changed_since_the_last():
    posts = Posts(5)
    world = await mined(posts)
    assert (await world.checkpoint()).watermark == "5"
    posts.write(2)
    (call,) = await run(world)
    assert call.query("since") == "5"
    assert world.ids() == [1, 2, 3, 4, 5, 2]
    assert (await world.checkpoint()).watermark == "6"


async def test_every_page_of_a_run_asks_for_the_same():
    world = await mined(Posts(5))
    world.source.respond.write(9)  # type: ignore[attr-defined]  # the API above
    world.source.respond.write(8)  # type: ignore[attr-defined]  # the API above
    assert {call.query("since") for call in await run(world)} == {"5"}


async def test_the_watermark_stays_until_the_run_is_done():
    """Were it moved page by page, what a cancelled run left out would never be asked for again."""
    posts = Posts(5)
    world = World(posts, PIPELINE.format(options=SINCE))
    await world.add_user()
    await world.schedule()
    await world.mine_page()
    assert (await world.checkpoint()).watermark == ""
    await cancel(await world.checkpoint(), "test", world.services)
    await run(world)
    assert sorted(map(str, world.ids())) == ["1", "2", "3", "4", "5"]


async def test_a_run_that_meets_nothing_leaves_the_watermark():
    world = await mined(Posts(3))
    world.source.respond = lambda call: answer({"data": []})
    await run(world)
    assert (await world.checkpoint()).watermark == "3"


async def test_late_records_are_kept_and_counted():
    """A source may still write behind the watermark; the lag asks for that again."""
    posts = Posts(5)
    world = await mined(posts)
    world.source.respond = lambda call: answer({"data": [{"id": 70, "at": 4}, {"id": 71, "at": 9}]})
    await run(world)
    checkpoint = await world.checkpoint()
    assert (checkpoint.late, checkpoint.watermark) == (1, "9")
    assert world.ids()[-2:] == [70, 71]


async def test_the_lag_asks_again_for_what_may_have_come_late():
    at = "2026-11-22T10:00:00Z"
    options = "incremental: { cursor_path: at, start_param: since, lag: 30m, initial_value: 2026-01-01 }"
    world = World(lambda call: answer({"data": [{"id": 1, "at": at}]}), PIPELINE.format(options=options))
    await world.add_user()
    (first,) = await run(world)
    (second,) = await run(world)
    assert (first.query("since"), second.query("since")) == ("2025-12-31T23:30:00Z", "2026-11-22T09:30:00Z")


async def test_a_header_of_the_first_page_is_the_mark_of_the_run():
    posts = Posts(5)
    world = World(
        posts, PIPELINE.format(options="incremental: { cursor_header: ETag, format: opaque, start_param: s }")
    )
    await world.add_user()
    await world.schedule()
    posts.headers = {"etag": '"one"'}
    await world.mine_page()
    posts.headers = {"etag": '"two"'}
    await world.run()
    (call, *_) = await run(world)
    assert call.query("s") == '"one"'


async def test_the_mark_may_be_sent_in_a_header_or_in_a_template():
    options = (
        "incremental: { cursor_path: at, format: number, initial_value: 0, start_header: X-Since }\n"
        '    query: { filter: "at>{window.start}" }'
    )
    world = await mined(Posts(2), options)
    requests = []
    fetch = world.source.fetch
    world.source.fetch = lambda user, request, attached: requests.append(request) or fetch(user, request, attached)  # type: ignore[method-assign,func-returns-value]  # to see the headers
    (call, *_) = await run(world)
    assert (call.query("filter"), requests[0].headers["X-Since"]) == ("at>2", "2")


class TestBackfill:
    async def test_it_brings_its_range_and_leaves_the_watermark(self):
        posts = Posts(5)
        world = await mined(posts, SINCE.replace("}", ", initial_value: 4 }"))
        assert world.ids() == [4, 5]
        calls = await run(world, Extent("1", "3"))
        assert {(call.query("since"), call.query("until")) for call in calls} == {("1", "3")}
        assert world.ids() == [4, 5, 1, 2]
        assert (await world.checkpoint()).watermark == "5"

    async def test_the_run_after_it_goes_on_from_the_watermark(self):
        world = await mined(Posts(5))
        await run(world, Extent("1", "3"))
        (call,) = await run(world)
        assert call.query("since") == "5"

    async def test_a_full_refresh_brings_everything_anew(self):
        world = await mined(Posts(3))
        await run(world, Extent(full=True))
        assert world.ids() == [1, 2, 3, 1, 2, 3]
        checkpoint = await world.checkpoint()
        assert checkpoint.watermark == "3"
        indexes = {key.split("|")[1] for _, key in world.streams.rows if key.startswith("seen|")}
        assert indexes == {checkpoint.index}

    async def test_one_that_was_cut_off_before_its_checkpoint_is_begun_by_the_reconciler(self):
        """With its range: were it begun as an ordinary run, nobody would miss what it was asked for."""
        world = await mined(Posts(5))
        world.later(hours=1)
        await world.services.schedules.request(KEY.pipeline, KEY.stream, world.clock.now(), Extent("1", "3"))
        refuse = world.streams.replace
        world.streams.replace = _fails  # type: ignore[method-assign]  # cut off before the checkpoint
        with pytest.raises(ConnectionError):
            await world.schedule()
        world.streams.replace = refuse  # type: ignore[method-assign]  # and back
        await world.reconcile_now()
        checkpoint = await world.checkpoint()
        assert (checkpoint.since, checkpoint.until, checkpoint.backfill) == ("1", "3", True)


async def _fails(_: object) -> str:
    raise ConnectionError


class TestStopWhenAllSeen:
    OPTIONS = "stop_when: all_seen"

    async def test_a_newest_first_stream_stops_where_everything_is_known(self):
        posts = Posts(9, newest_first=True)
        world = await mined(posts, self.OPTIONS)
        posts.write(10)
        assert len(await run(world)) == 2
        assert sorted(world.ids(), key=int) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

    async def test_not_before_a_run_has_gone_to_the_end(self):
        """What lies behind the place where a run was cancelled has never been seen."""
        posts = Posts(9, newest_first=True)
        world = World(posts, PIPELINE.format(options=self.OPTIONS))
        await world.add_user()
        await world.schedule()
        for _ in range(3):
            await world.mine_page()
        await cancel(await world.checkpoint(), "test", world.services)
        await run(world)
        assert sorted(world.ids(), key=int) == [1, 2, 3, 4, 5, 6, 7, 8, 9]

    async def test_not_at_records_of_this_same_run(self):
        """Records that come in while it pages push a whole page down; older ones may still be new."""
        posts = Posts(4, newest_first=True)
        world = await mined(posts, self.OPTIONS)
        for number in range(5, 11):
            posts.write(number)
        world.later(hours=1)
        await world.schedule()
        await world.mine_page()
        posts.write(11)
        posts.write(12)
        await world.run()
        assert {5, 6, 7, 8, 9, 10} <= set(world.ids())


async def test_users_have_watermarks_of_their_own():
    posts = Posts(3)
    world = World(posts, PIPELINE.format(options=SINCE))
    await world.add_user("ann")
    await run(world)
    await world.add_user("bob")
    calls = await run(world)
    assert {(call.user, call.query("since")) for call in calls} == {("ann", "3"), ("bob", "")}
    bob = await world.checkpoint(StreamKey("social", "posts", "bob"))
    assert (bob.state, bob.watermark) == (RunState.DONE, "3")
    assert bob.started_at - timedelta(hours=2) < world.clock.now()

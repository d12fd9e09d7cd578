"""Runs in windows of time: one after the other, halved where they are too big, left out where the file says so."""

from datetime import UTC, datetime

import pytest

from shared.checkpoint import Checkpoint, Extent, RunState
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import KEY, START, World

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
    incremental:
      {{ cursor_path: at, format: epoch_seconds, start_param: since, end_param: until, initial_value: {initial} }}
    {options}
"""
HOUR = 3600
FIRST = int(datetime(2026, 11, 22, 0, tzinfo=UTC).timestamp())
"""Half a day before the world begins."""


class Posts:
    """A post every half hour; `most` of a window are shown, windows longer than `longest` hours are refused."""

    def __init__(self, most: int = 1000, longest: float = 1000.0):
        self.rows = [{"id": number, "at": FIRST + number * HOUR // 2} for number in range(24)]
        self.most, self.longest = most, longest
        self.broken: set[int] = set()
        """Windows that begin at these seconds can't be had."""

    def __call__(self, call: Call) -> Response:
        since, until = int(call.query("since")), int(call.query("until"))
        if until - since > self.longest * HOUR:
            return answer({"error": {"code": "too_long"}}, 400)
        if since in self.broken:
            return answer({"error": {"code": "broken"}}, 400)
        found = [row for row in self.rows if since <= row["at"] < until]
        first = int(call.query("after", "0"))
        shown = found[: self.most]
        following = str(first + 2) if first + 2 < len(shown) else None
        return answer({"data": shown[first : first + 2], "next": following, "count": len(found)})


def world_of(posts: Posts, options: str, initial: str = "2026-11-22") -> World:
    return World(posts, PIPELINE.format(options=options, initial=f'"{FIRST}"' if initial == "2026-11-22" else initial))


async def mined(posts: Posts, options: str) -> World:
    world = world_of(posts, options)
    await world.add_user()
    await run(world)
    return world


async def run(world: World, extent: Extent | None = None) -> list[Call]:
    before = len(world.source.calls)
    if before:
        world.later(hours=1)
    if extent:
        await world.services.schedules.request(KEY.pipeline, KEY.stream, world.clock.now(), extent)
    await world.schedule()
    await world.run()
    return world.source.calls[before:]


def windows(calls: list[Call]) -> list[tuple[float, float]]:
    """In hours behind the first post, each once, in the order of the calls."""
    asked = dict.fromkeys((int(call.query("since")), int(call.query("until"))) for call in calls)
    return [((since - FIRST) / HOUR, (until - FIRST) / HOUR) for since, until in asked]


def everything(world: World) -> bool:
    return sorted(map(str, world.ids())) == sorted(str(number) for number in range(24))


async def test_a_run_goes_from_window_to_window():
    world = await mined(Posts(), "windows: { type: fixed, size: 4h }")
    assert windows(world.source.calls)[:3] == [(0, 4), (4, 8), (8, 12)]
    assert everything(world)


async def test_every_window_has_pages_of_its_own_and_the_run_one_sequence():
    world = await mined(Posts(), "windows: { type: fixed, size: 1h }")
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.next_seq) == (RunState.DONE, 13)
    assert sorted({line["_page"] for line in world.lines()}, key=int) == list(range(12))


async def test_sliding_windows_show_records_again_which_the_key_drops():
    world = await mined(Posts(), "windows: { type: sliding, size: 4h, overlap: 1h }")
    assert windows(world.source.calls)[:2] == [(0, 4), (3, 7)]
    assert everything(world)


async def test_the_next_run_begins_at_the_watermark():
    posts = Posts()
    world = await mined(posts, "windows: { type: fixed, size: 6h }")
    calls = await run(world)
    assert windows(calls)[0][0] == 11.5
    assert len(world.ids()) == 24


async def test_a_backfill_is_cut_into_windows_too():
    world = await mined(Posts(), "windows: { type: fixed, size: 6h }")
    marks = [datetime.fromtimestamp(FIRST + hours * HOUR, UTC) for hours in (1, 9)]
    extent = Extent(*(f"{mark:%Y-%m-%dT%H:%M:%S.%fZ}" for mark in marks))
    assert windows(await run(world, extent)) == [(1, 6), (6, 9)]


class TestSplit:
    async def test_a_window_that_shows_no_more_is_halved(self):
        world = await mined(Posts(most=4), "windows: { type: fixed, size: 8h, split: { at: 4 } }")
        assert windows(world.source.calls)[:3] == [(0, 8), (0, 4), (0, 2)]
        assert everything(world)

    async def test_a_window_that_counts_too_many_is_halved_before_anything_is_kept(self):
        options = "windows: { type: fixed, size: 8h, split: { at: 5, total_path: count } }"
        world = await mined(Posts(most=4), options)
        assert everything(world)
        assert (await world.checkpoint()).duplicates == 0

    async def test_a_window_that_is_refused_is_halved(self):
        world = await mined(Posts(longest=3), "windows: { type: global, split: { on_rejected: true } }")
        assert everything(world)

    async def test_a_window_that_may_not_be_smaller_is_shown_to_somebody(self):
        """Better a run that stops than records that are missing and nobody knows."""
        options = "windows: { type: fixed, size: 8h, split: { at: 4, smallest: 3h } }"
        world = await mined(Posts(most=4), options)
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, "rejected")
        assert "smallest window" in checkpoint.last_error

    async def test_a_smallest_window_that_is_refused_is_a_failure_like_any_other(self):
        options = "windows: { type: fixed, size: 8h, split: { on_rejected: true, smallest: 2h } }"
        world = await mined(Posts(longest=0.1), options)
        assert (await world.checkpoint()).state is RunState.PARKED


class TestErrorPolicy:
    OPTIONS = "windows: { type: fixed, size: 4h }\n    on_error: { mode: %s }"

    @staticmethod
    def broken() -> Posts:
        posts = Posts()
        posts.broken = {FIRST + 4 * HOUR}
        return posts

    async def test_parked_runs_wait_where_they_are(self):
        world = await mined(self.broken(), self.OPTIONS % "park")
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, len(world.ids())) == (RunState.PARKED, 8)

    async def test_failed_runs_are_over_and_what_they_brought_is_delivered(self):
        world = await mined(self.broken(), self.OPTIONS % "fail")
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, checkpoint.reason, len(world.ids())) == (RunState.FAILED, "rejected", 8)
        assert checkpoint.watermark == ""

    async def test_the_next_run_of_a_failed_one_begins_where_it_began(self):
        posts = self.broken()
        world = await mined(posts, self.OPTIONS % "fail")
        posts.broken.clear()
        await run(world)
        assert everything(world)

    async def test_a_slice_that_fails_is_left_out_and_the_run_is_partial(self):
        world = await mined(self.broken(), self.OPTIONS % "continue")
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, len(world.ids())) == (RunState.PARTIAL, 16)
        assert checkpoint.watermark == ""
        assert str(FIRST + 4 * HOUR) not in checkpoint.given_up
        assert "2026-11-22T04:00:00" in checkpoint.given_up

    async def test_only_what_was_left_out_is_mined_again(self):
        posts = self.broken()
        world = await mined(posts, self.OPTIONS % "continue")
        posts.broken.clear()
        calls = len(world.source.calls)
        await world.resume()
        await world.run()
        assert windows(world.source.calls[calls:]) == [(4, 8)]
        assert everything(world)
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, checkpoint.given_up, checkpoint.watermark != "") == (RunState.DONE, "", True)

    async def test_a_dead_credential_is_never_left_out_slice_by_slice(self):
        world = world_of(Posts(), self.OPTIONS % "continue")
        world.source.respond = lambda call: answer({}, 401)
        await world.add_user()
        await run(world)
        assert (await world.checkpoint()).reason == "invalid_credential"
        assert len(world.source.calls) == 1

    @pytest.mark.parametrize(
        ("policy", "waits"),
        [
            ("{ max_retries: 3, backoff: fixed, first: 10s, jitter: false }", [10, 10, 10]),
            ("{ max_retries: 3, backoff: linear, first: 10s, jitter: false }", [10, 20, 30]),
            ("{ max_retries: 3, backoff: exponential, first: 10s, cap: 30s, jitter: false }", [10, 20, 30]),
            ("{ max_retries: 0 }", []),
        ],
    )
    async def test_waits_are_as_the_file_says(self, policy: str, waits: list[float]):
        world = world_of(Posts(), f"on_error: {policy}")
        world.source.respond = lambda call: answer({}, 500)
        await world.add_user()
        await run(world)
        retried = [outcome for _, outcome in world.outcomes if outcome.what == "retried"]
        assert [outcome.facts["seconds"] for outcome in retried] == waits
        assert (await world.checkpoint()).state is RunState.PARKED


def test_what_was_left_out_fits_into_a_row():
    """More than that is parked instead."""
    checkpoint = Checkpoint(KEY, "run", START, since="a" * 30, until="b" * 30)
    assert checkpoint.may_give_up
    while checkpoint.may_give_up:
        checkpoint = Checkpoint(KEY, "run", START, given_up=checkpoint.given_up + "x" * 1000)
    assert len(checkpoint.given_up) * 2 < 64 * 1024


async def test_a_record_that_cant_be_written_is_left_out_alone_where_the_file_says_so():
    body = b'{"data": [{"id": 1}, {"id": 2, "size": 1e999}, {"id": 3}], "next": null}'
    world = world_of(Posts(), "on_error: { mode: skip_record }")
    world.source.respond = lambda call: Response(200, {}, body)
    await world.add_user()
    await run(world)
    assert world.ids() == [1, 3]
    assert (await world.checkpoint()).skipped == 1

"""Slices of a run side by side: each with wake-ups of its own, never more at a time than the file allows."""

from collections.abc import Callable

import pytest

from shared.checkpoint import Checkpoint, RunState
from shared.errors import BrokerUnavailable, InvalidPipeline
from shared.messages import WakeUp
from shared.pipeline.loader import load_text
from shared.pipeline.responses import Response
from shared.runs import cancel, resume
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import World

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
    {options}
"""
OFFSETS = """paginator: { type: offset, total_path: total }
    parallel: { strategy: calculated_offsets, records_per_slice: 4, max_concurrent: 3 }"""
PAGES = """paginator: { type: page_number, total_path: pages }
    parallel: { strategy: known_pages, pages_per_slice: 2, max_concurrent: 3 }"""
WINDOWS = """paginator: { type: page_number }
    incremental: { cursor_path: at, format: epoch_seconds, start_param: since, end_param: until, initial_value: 0 }
    windows: { type: fixed, size: 5200d }
    parallel: { strategy: time_windows, max_concurrent: 2 }"""


class Posts:
    """An API whose records are counted; `broken` offsets can't be had."""

    def __init__(self, count: int = 20):
        self.rows = [{"id": number, "at": number * 10**8 // 2} for number in range(count)]
        self.broken: set[int] = set()

    def __call__(self, call: Call) -> Response:
        since, until = int(call.query("since", "0")), int(call.query("until", "9" * 12))
        rows = [row for row in self.rows if since <= row["at"] < until]
        first = int(call.query("offset", "-1"))
        if first < 0:
            first = (int(call.query("page")) - 1) * 2
        if first in self.broken:
            return answer({"error": {"code": "broken"}}, 400)
        return answer({"data": rows[first : first + 2], "total": len(rows), "pages": -(-len(rows) // 2)})


async def started(posts: Callable[[Call], Response], options: str) -> World:
    world = World(posts, PIPELINE.format(options=options))
    await world.add_user()
    await world.schedule()
    return world


async def mined(posts: Callable[[Call], Response], options: str) -> World:
    world = await started(posts, options)
    await world.run()
    return world


async def strands(world: World) -> list[Checkpoint]:
    return await world.services.checkpoints.strands(await world.checkpoint())


def numbers(world: World) -> list[int]:
    return sorted(int(str(each)) for each in world.ids())


@pytest.mark.parametrize("options", [OFFSETS, PAGES, WINDOWS])
async def test_every_record_comes_once_whatever_the_strategy(options: str):
    world = await mined(Posts(), options)
    assert numbers(world) == list(range(20))
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.records, checkpoint.open_strands) == (RunState.DONE, 20, 0)


@pytest.mark.parametrize(("options", "most"), [(OFFSETS, 3), (PAGES, 3), (WINDOWS, 2)])
async def test_there_are_never_more_wake_ups_than_slices_at_a_time(options: str, most: int):
    world = await started(Posts(), options)
    seen = 0
    while (delivered := world.broker.receive("mine")) is not None:
        seen = max(seen, 1 + len(world.broker.waiting("mine")))
        await world.handle(delivered)
    assert seen == most


async def test_records_that_appear_meanwhile_belong_to_the_last_slice():
    """The total grows while it is mined: nothing is lost."""
    posts = Posts(10)
    world = await started(posts, OFFSETS)
    await world.mine_page()
    posts.rows += [{"id": number, "at": 0} for number in range(10, 17)]
    await world.run()
    assert numbers(world) == list(range(17))


async def test_a_page_that_reaches_into_the_next_slice_leaves_it_what_is_its_own():
    """Without a key nothing else would keep a record from coming twice."""
    options = OFFSETS.replace("records_per_slice: 4", "records_per_slice: 3")
    world = World(Posts(), PIPELINE.replace("    primary_key: id\n", "").format(options=options))
    await world.add_user()
    await world.schedule()
    await world.run()
    assert numbers(world) == list(range(20))


async def test_a_run_of_one_slice_is_not_divided():
    world = await mined(Posts(3), OFFSETS)
    assert (await world.checkpoint()).strands == 0
    assert numbers(world) == [0, 1, 2]


async def test_a_record_that_two_slices_show_is_kept_once():
    """The index has one order for all strands."""
    posts = Posts()
    world = await started(posts, OFFSETS)
    await world.mine_page()
    posts.rows.insert(0, {"id": 100, "at": 0})  # everything moves on by one
    await world.run()
    assert len(numbers(world)) == len(set(numbers(world)))


async def test_strands_that_commit_at_once_do_not_fetch_again():
    """One of them finds the ledger changed, and sifts and commits the same page again."""
    world = await started(Posts(), OFFSETS)
    await world.mine_page()
    second = world.broker.receive("mine")
    assert second is not None

    async def meanwhile() -> None:
        await world.handle(second)

    world.source.meanwhile = meanwhile
    calls = len(world.source.calls)
    outcome = await world.mine_page()
    assert outcome.what == "committed"
    assert len(world.source.calls) == calls + 2


async def test_a_lost_wake_up_of_a_strand_is_healed_by_the_reconciler():
    world = await started(Posts(), OFFSETS)
    await world.mine_page()
    lost = world.broker.receive("mine")
    assert lost is not None
    lost.complete()
    await world.run()
    assert (await world.checkpoint()).open_strands == 1
    await world.reconcile_now()
    await world.run()
    assert numbers(world) == list(range(20))


async def test_the_first_wake_up_sends_those_of_all_strands_again():
    """Cut off behind the commit that divides the run: the message comes back and heals it."""
    world = await started(Posts(), OFFSETS)
    first = world.broker.receive("mine")
    assert first is not None
    world.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await world.handle(first)
    world.broker.away = False
    await world.run()
    assert numbers(world) == list(range(20))


async def test_cancelling_the_run_stops_every_strand():
    world = await started(Posts(), OFFSETS)
    await world.mine_page()
    await cancel(await world.checkpoint(), "test", world.services)
    calls = len(world.source.calls)
    await world.run()
    assert len(world.source.calls) == calls
    assert numbers(world) == [0, 1]


async def test_a_strand_of_an_earlier_run_gives_way_to_the_new_one():
    posts = Posts()
    world = await started(posts, OFFSETS)
    await world.mine_page()
    (stale, *_) = await strands(world)
    await cancel(await world.checkpoint(), "test", world.services)
    world.later(hours=1)
    await world.schedule()
    await world.run()
    await world.services.broker.send([world.services.outgoing(stale.wake_up())])
    await world.run()
    assert world.outcomes[-1][1].what == "ignored"
    assert numbers(world) == list(range(20))


class TestFailures:
    async def test_a_parked_strand_holds_the_run_and_not_the_others(self):
        posts = Posts()
        posts.broken = {6}
        world = await mined(posts, OFFSETS)
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, "rejected")
        assert numbers(world) == [number for number in range(20) if number not in {6, 7}]
        posts.broken.clear()
        await resume(checkpoint, world.services)
        await world.run()
        assert numbers(world) == list(range(20))
        assert (await world.checkpoint()).state is RunState.DONE
        assert not world.parked.rows

    async def test_a_slice_that_is_left_out_makes_the_run_partial(self):
        posts = Posts()
        posts.broken = {6}
        world = await mined(posts, OFFSETS + "\n    on_error: { mode: continue }")
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, checkpoint.reason) == (RunState.PARTIAL, "rejected")
        posts.broken.clear()
        calls = len(world.source.calls)
        await resume(checkpoint, world.services)
        await world.run()
        assert numbers(world) == list(range(20))
        assert [call.query("offset") for call in world.source.calls[calls:]] == ["4", "6"]
        assert (await world.checkpoint()).state is RunState.DONE

    async def test_a_failure_ends_the_whole_run_where_the_file_says_so(self):
        posts = Posts()
        posts.broken = {6}
        world = await mined(posts, OFFSETS + "\n    on_error: { mode: fail }")
        checkpoint = await world.checkpoint()
        assert (checkpoint.state, checkpoint.reason) == (RunState.FAILED, "rejected")
        committed = {each for each in numbers(world) if each < 20}
        assert len(committed) < 20


async def test_every_strand_has_pages_of_its_own():
    world = await started(Posts(), OFFSETS)
    await world.mine_page()
    wake_ups = [WakeUp.decode(message.body) for message in world.broker.waiting("mine")]
    assert [(each.slice, each.seq) for each in wake_ups] == [("s01", 0), ("s02", 0), ("s03", 0)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("paginator: { type: offset }\n    parallel: { strategy: calculated_offsets }", "and its total_path"),
        ("paginator: { type: page_number }\n    parallel: { strategy: known_pages }", "with pages, or the total_path"),
        ("paginator: { type: offset }\n    parallel: { strategy: known_pages }", "paginator type page_number"),
        ("paginator: { type: offset }\n    parallel: { strategy: time_windows }", "with windows of type fixed"),
        (
            "paginator: { type: offset, total_path: n }\n    parallel: { strategy: calculated_offsets, pages: 3 }",
            "found pages with strategy calculated_offsets",
        ),
    ],
)
def test_a_strategy_says_what_it_needs(options: str, said: str):
    with pytest.raises(InvalidPipeline) as caught:
        load_text(PIPELINE.format(options=options), "p.yaml")
    assert said in str(caught.value)

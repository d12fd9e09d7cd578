"""Several pages of one message: committed together, or not at all; what fails behind them does not take them along."""

from collections.abc import Callable

import pytest

from processors.dedupe import SeenCache
from shared.checkpoint import RunState
from shared.errors import StorageUnavailable
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import PIPELINE, World

TWENTY = [{"id": number} for number in range(20)]
ALL = list(range(20))


async def started(respond: Callable[[Call], Response], pipeline: str = PIPELINE, pages: int = 4) -> World:
    world = World(respond, pipeline, {"PAGES_PER_MESSAGE": str(pages)})
    await world.add_user()
    await world.schedule()
    return world


def commits(world: World) -> list[tuple[object, object]]:
    """Pages and records of every message that committed some."""
    return [
        (outcome.facts.get("pages"), outcome.facts["records"])
        for _, outcome in world.outcomes
        if outcome.what == "committed"
    ]


async def test_a_message_mines_as_many_pages_as_it_may_and_commits_them_once():
    world = await started(pages_of(TWENTY))
    await world.mine_page()
    learned = [row for row in world.streams.rows.values() if row.key.startswith("seen|")]
    assert len(learned) == 1
    await world.run()
    assert world.ids() == ALL
    assert commits(world) == [(4, 8), (4, 8), (2, 4)]


async def test_a_stream_may_say_another_number():
    pipeline = PIPELINE.replace("records: data\n", "records: data\n    pages_per_message: 10\n")
    world = await started(pages_of(TWENTY), pipeline, pages=1)
    await world.run()
    assert commits(world) == [(10, 20)]


async def test_the_turn_of_a_user_of_weight_is_so_many_times_as_long():
    world = World(pages_of(TWENTY), PIPELINE, {"PAGES_PER_MESSAGE": "2"})
    await world.add_user(weight=3)
    await world.schedule()
    await world.run()
    assert world.ids() == ALL
    assert commits(world) == [(6, 12), (4, 8)]


async def test_the_log_tells_what_of_the_dedupe_index_memory_did_not_hold():
    world = await started(pages_of(TWENTY))
    await world.mine_page()
    world.cache = SeenCache()
    await world.run()
    told = [outcome.facts["index_rows"] for _, outcome in world.outcomes if outcome.what == "committed"]
    assert told == [None, 1, None]


async def test_what_fails_behind_some_pages_waits_and_they_are_kept():
    """The wait that was asked for is kept, and no page is asked for twice."""
    throttled = [True]

    def respond(call: Call) -> Response:
        if call.query("after") == "4" and throttled:
            throttled.clear()
            return answer({"error": "slow down"}, 429, retry_after="30")
        return pages_of(TWENTY)(call)

    world = await started(respond)
    await world.mine_page()
    checkpoint = await world.checkpoint()
    assert (checkpoint.next_seq, checkpoint.failures) == (2, 1)
    assert checkpoint.not_before is not None
    assert (checkpoint.not_before - world.clock.now()).total_seconds() >= 30
    await world.run()
    assert world.ids() == ALL
    asked = [call.query("after") for call in world.source.calls]
    assert sorted(set(asked)) == sorted(asked[:2] + asked[3:])


async def test_a_commit_that_is_lost_takes_all_its_pages_along():
    """Nothing of them is kept, and they come again."""
    world = await started(pages_of(TWENTY))
    world.streams.cut_off(0, answered=True)
    with pytest.raises(StorageUnavailable):
        await world.mine_page()
    world.streams.mend()
    assert (await world.checkpoint()).next_seq == 0
    world.broker.expire_locks()
    await world.run()
    assert world.ids() == ALL


async def test_a_message_that_comes_again_behind_its_pages_sends_the_next_one():
    world = await started(pages_of(TWENTY))
    delivered = world.broker.receive("mine")
    assert delivered is not None
    await world.handle(delivered)
    lost = world.broker.receive("mine")
    assert lost is not None
    lost.complete()
    world.later(minutes=5)
    assert (await world.invoke(delivered.message)).what == "resent"
    await world.run()
    assert world.ids() == ALL


async def test_a_stop_ends_the_message_behind_its_page():
    world = await started(pages_of(TWENTY))

    async def stop() -> None:
        await world.services.admission.set(0)
        world.later(minutes=1)

    world.source.meanwhile = stop
    await world.mine_page()
    assert (await world.checkpoint()).next_seq == 1


async def test_a_record_that_is_shown_again_in_the_same_message_comes_once():
    rows = [{"id": 1}, {"id": 2}, {"id": 2}, {"id": 3}, {"id": 1}]
    world = await started(pages_of(rows))
    await world.run()
    assert world.ids() == [1, 2, 3]
    assert (await world.checkpoint()).duplicates == 2


async def test_slices_side_by_side_commit_page_by_page():
    """Each page of a strand is written together with the ledger of its run."""
    pipeline = PIPELINE.replace(
        "paginator: { type: cursor, cursor_path: next, cursor_param: after }",
        "paginator: { type: offset, total_path: total }\n"
        "    parallel: { strategy: calculated_offsets, records_per_slice: 6, max_concurrent: 2 }",
    )

    def respond(call: Call) -> Response:
        first = int(call.query("offset"))
        return answer({"data": TWENTY[first : first + 2], "total": 20})

    world = await started(respond, pipeline)
    await world.run()
    assert sorted(map(int, map(str, world.ids()))) == ALL
    assert {pages for pages, _ in commits(world)} == {None}
    assert (await world.checkpoint()).state is RunState.DONE

"""Chains: the records of one stream lead to those of another, each slice of it once, whatever is cut off."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from shared.checkpoint import Checkpoint, Extent, RunState
from shared.errors import BrokerUnavailable, InvalidPipeline
from shared.messages import StreamKey
from shared.pipeline.loader import load_text
from shared.pipeline.responses import Response
from shared.runs import cancel, resume
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import World

PIPELINE = """
pipeline: shop
source:
  base_url: https://api.example.com/v1
  auth: { type: bearer, token: "{credentials.token}" }
streams:
  - name: orders
    path: /orders
    records: data
    primary_key: id
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
  - name: items
    path: "/orders/{parent.order}/items"
    records: data
    primary_key: [order, number]
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
    parent:
      stream: orders
      input_mapping: { order: id }
      output_mapping: { order: order }
"""
NOTES = """
  - name: notes
    path: "/orders/{parent.order}/items/{parent.item}/notes"
    records: data
    primary_key: [order, item]
    paginator: { type: single_page }
    parent:
      stream: items
      input_mapping: { order: order, item: number }
      output_mapping: { order: order, item: item }
"""
IN_BATCHES = """
  - name: details
    path: /details
    method: post
    json: { ids: "{parent.order}" }
    records: data
    primary_key: id
    paginator: { type: single_page }
    parent: { stream: orders, input_mapping: { order: id }, batch_size: 4, processing_mode: parallel }
"""
ORDERS = StreamKey("shop", "orders", "ann")
ITEMS = StreamKey("shop", "items", "ann")
PARALLEL = PIPELINE.replace("{ order: order }\n", "{ order: order }\n      processing_mode: parallel\n")


class Shop:
    """Orders with three items each, two to a page; `broken` paths, and ids, can't be had."""

    def __init__(self, orders: int = 5):
        self.orders = [{"id": number, "changed": number} for number in range(orders)]
        self.broken: set[str] = set()
        self.refused: set[int] = set()

    def __call__(self, call: Call) -> Response:
        if call.path in self.broken:
            return answer({"error": {"code": "broken"}}, 400)
        match call.path.removeprefix("/v1/").split("/"):
            case ["orders"]:
                since = int(call.query("since", "0"))
                return self._page([order for order in self.orders if order["changed"] >= since], call)
            case ["orders", _, "items"]:
                return self._page([{"number": number} for number in range(3)], call)
            case ["orders", _, "items", _, "notes"]:
                return answer({"data": [{"text": "so"}]})
            case _:
                ids = json.loads(call.body or b"{}")["ids"]
                if self.refused.intersection(ids):
                    return answer({"error": {"code": "unknown_id"}}, 400)
                return answer({"data": [{"id": each} for each in ids]})

    @staticmethod
    def _page(rows: list[dict[str, int]], call: Call) -> Response:
        first = int(call.query("after", "0"))
        return answer({"data": rows[first : first + 2], "next": first + 2 if first + 2 < len(rows) else None})


async def started(shop: Shop, pipeline: str = PIPELINE) -> World:
    world = World(shop, pipeline)
    await world.add_user()
    await world.schedule()
    return world


async def mined(shop: Shop, pipeline: str = PIPELINE) -> World:
    world = await started(shop, pipeline)
    await world.run()
    return world


async def again(world: World, stream: str = "orders", extent: Extent | None = None) -> list[Call]:
    """The calls of another run."""
    before = len(world.source.calls)
    world.later(hours=1)
    if extent is not None:
        await world.services.schedules.request("shop", stream, world.clock.now(), extent)
    await world.schedule()
    await world.run()
    return world.source.calls[before:]


def items(world: World) -> Counter[tuple[int, int]]:
    return Counter((each["order"], each["number"]) for each in world.lines() if "number" in each)


def every_item(orders: int = 5) -> Counter[tuple[int, int]]:
    return Counter((order, number) for order in range(orders) for number in range(3))


async def runs(world: World) -> dict[str, Checkpoint]:
    return {each.key.stream: each for each in await world.services.checkpoints.all()}


@pytest.mark.parametrize("pipeline", [PIPELINE, PARALLEL])
async def test_every_record_of_the_parent_leads_to_its_own(pipeline: str):
    world = await mined(Shop(), pipeline)
    assert items(world) == every_item()
    found = await runs(world)
    assert {each.state for each in found.values()} == {RunState.DONE}
    assert found["orders"].run.partition("-")[0] == found["items"].run.partition("-")[0]


async def test_a_chain_may_be_of_any_depth():
    world = await mined(Shop(), PIPELINE + NOTES)
    notes = [(each["order"], each["item"]) for each in world.lines() if "text" in each]
    assert Counter(notes) == every_item()


async def test_in_parallel_no_more_are_mined_at_a_time_than_allowed():
    pipeline = PARALLEL.replace("parallel\n", "parallel\n      max_concurrent: 3\n")
    world = await started(Shop(9), pipeline)
    most = 0
    while (delivered := world.broker.receive("mine")) is not None:
        most = max(most, 1 + len(world.broker.waiting("mine")))
        await world.handle(delivered)
    assert most == 3


async def test_a_batch_asks_for_several_at_a_time_and_a_refused_one_is_halved():
    shop = Shop(9)
    shop.refused = {5}
    in_batches = IN_BATCHES.replace("single_page }", "single_page }\n    on_error: { mode: continue }")
    world = await mined(shop, PIPELINE + in_batches)
    asked = [json.loads(call.body)["ids"] for call in world.source.calls if call.body]
    assert [0, 1, 2, 3] in asked
    assert [5] in asked
    lines = [data for name, data in world.output.objects.items() if "/details/" in name]
    details = [json.loads(line)["id"] for data in lines for line in data.splitlines()]
    assert sorted(details) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert (await runs(world))["details"].state is RunState.PARTIAL


async def test_a_parent_without_records_is_followed_by_runs_that_are_done_at_once():
    world = await mined(Shop(0), PIPELINE + NOTES)
    assert {name: each.state for name, each in (await runs(world)).items()} == dict.fromkeys(
        ("orders", "items", "notes"), RunState.DONE
    )
    assert len(world.source.calls) == 1


async def test_what_is_passed_along_is_stored_and_in_no_message():
    shop = Shop(0)
    shop.orders = [{"id": "its-own-name", "changed": 0}]
    world = await started(shop)
    bodies = []
    while (delivered := world.broker.receive("mine")) is not None:
        bodies.append(delivered.message.body)
        await world.handle(delivered)
    assert any("its-own-name" in call.path for call in world.source.calls)
    assert not any(b"its-own-name" in body for body in bodies)
    assert any(row.key.startswith("passed|") for row in world.streams.rows.values())


async def test_the_next_run_is_not_started_while_the_chain_goes_on():
    """Not even between the end of the parent's run and the beginning of its child's."""
    world = await started(Shop())
    while (await runs(world))["orders"].is_open:
        await world.mine_page()
    first = (await runs(world))["orders"].run
    world.later(hours=1)
    await world.schedule()
    assert (await runs(world))["orders"].run == first
    await world.run()
    assert items(world) == every_item()
    await again(world)
    assert (await runs(world))["orders"].run > first


async def test_a_chain_that_is_cut_off_between_its_runs_goes_on():
    """Neither the message that ends the parent's run nor the reconciler starts anything twice."""
    world = await started(Shop())
    while (await runs(world))["orders"].next_seq < 2:
        await world.mine_page()
    delivered = world.broker.receive("mine")
    assert delivered is not None
    put = world.services.checkpoints.insert

    async def killed(*_: object) -> Checkpoint:
        raise BrokerUnavailable("killed")

    object.__setattr__(world.services.checkpoints, "insert", killed)
    with pytest.raises(BrokerUnavailable):
        await world.handle(delivered)
    object.__setattr__(world.services.checkpoints, "insert", put)
    assert (await runs(world)).keys() == {"orders"}
    for _ in range(3):
        await world.reconcile_now()
    await world.run()
    assert items(world) == every_item()


async def test_a_strand_that_comes_again_begins_nothing_before_the_whole_run_has_ended():
    world = await started(Shop(9), PARALLEL + NOTES)
    ended = None
    while ended is None:
        delivered = world.broker.receive("mine")
        assert delivered is not None
        await world.handle(delivered)
        strands = await world.services.checkpoints.strands(
            (await runs(world)).get("items") or (await runs(world))["orders"]
        )
        if any(each.state is RunState.DONE for each in strands):
            ended = delivered.message
    assert (await runs(world))["items"].is_open
    await world.invoke(ended)
    assert "notes" not in await runs(world)


async def test_an_incremental_parent_asks_again_for_what_was_not_followed_to_the_end():
    pipeline = PIPELINE.replace(
        "primary_key: id\n",
        "primary_key: id\n    incremental: { cursor_path: changed, format: number, start_param: since }\n",
        1,
    )
    shop = Shop()
    world = await started(shop, pipeline)
    while (await runs(world)).get("items") is None:
        await world.mine_page()
    await cancel((await runs(world))["items"], "asked for", world.services)
    await world.run()
    assert items(world) != every_item()
    await again(world)
    assert items(world) == every_item()
    last = await again(world)
    assert [call.query("since") for call in last if call.path.endswith("/orders")] == ["4"]


async def test_a_failed_child_leaves_the_others_alone_and_is_resumed_where_it_failed():
    shop = Shop()
    shop.broken = {"/v1/orders/3/items"}
    world = await mined(shop)
    found = (await runs(world))["items"]
    assert (found.state, found.reason) == (RunState.PARKED, "rejected")
    shop.broken = set()
    await resume(found, world.services)
    await world.run()
    assert items(world) == every_item()


async def test_a_partial_parent_that_goes_on_feeds_what_it_had_left_out():
    """Its child had come to the end of what there was."""
    shop = Shop(7)
    pipeline = PARALLEL.replace(
        "paginator: { type: cursor, cursor_path: next, cursor_param: after }\n  - name: items",
        "paginator: { type: offset, total_path: total, limit: 2 }\n"
        "    parallel: { strategy: calculated_offsets, records_per_slice: 2, max_concurrent: 2 }\n"
        "    on_error: { mode: continue }\n  - name: items",
    )
    rows = [{"id": number} for number in range(7)]
    broken = {4}

    def respond(call: Call) -> Response:
        if call.path != "/v1/orders":
            return shop(call)
        first = int(call.query("offset"))
        if first in broken:
            return answer({"error": {"code": "broken"}}, 400)
        return answer({"data": rows[first : first + 2], "total": len(rows)})

    world = World(respond, pipeline)
    await world.add_user()
    await world.schedule()
    await world.run()
    found = await runs(world)
    assert (found["orders"].state, found["items"].state) == (RunState.PARTIAL, RunState.DONE)
    assert items(world).keys().isdisjoint({(4, 0), (5, 0)})
    broken.clear()
    await resume(found["orders"], world.services)
    await world.run()
    assert items(world) == every_item(7)
    assert {each.state for each in (await runs(world)).values()} == {RunState.DONE}


async def test_a_single_parent_may_have_one_record_only():
    pipeline = PARALLEL.replace("processing_mode: parallel", "processing_mode: single")
    assert items(await mined(Shop(1), pipeline)) == every_item(1)
    found = (await runs(await mined(Shop(2), pipeline)))["items"]
    assert (found.state, found.reason) == (RunState.PARKED, "rejected")
    assert "single" in found.last_error


async def test_a_run_that_is_made_anew_is_followed_by_such():
    world = await mined(Shop())
    calls = await again(world, extent=Extent(full=True))
    assert len(calls) > 5
    assert items(world) == every_item() + every_item()


async def test_a_record_without_the_value_leads_nowhere_and_a_list_is_an_error():
    shop = Shop(2)
    shop.orders[0] |= {"extra": "x"}
    pipeline = PIPELINE.replace("input_mapping: { order: id }", "input_mapping: { order: id, extra: extra }")
    assert items(await mined(shop, pipeline)) == Counter((0, number) for number in range(3))
    shop.orders[1] |= {"extra": [1]}
    found = (await runs(await mined(shop, pipeline)))["orders"]
    assert (found.state, found.reason) == (RunState.PARKED, "malformed")
    assert "input_mapping extra: found a list at extra" in found.last_error


async def test_what_was_passed_along_is_forgotten_when_the_next_run_begins():
    world = await mined(Shop())
    await again(world)
    passed = {row.key.split("|")[1] for row in world.streams.rows.values() if row.key.startswith("passed|")}
    assert passed == {(await runs(world))["orders"].run}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("stream: orders", "stream: nobody"), "streams: found items with the parent 'nobody', allowed: orders"),
        (("stream: orders", "stream: items"), "streams: found items ← items"),
        (("parent.order", "parent.id"), "found {parent.id}, allowed: {parent.order}"),
        (("order: order", "order: id"), "found output_mapping order: id, allowed: a name of input_mapping (order)"),
        (("stream: orders\n", "stream: orders\n      batch_size: 9\n"), "found output_mapping with batch_size"),
        (
            ("stream: orders\n", "stream: orders\n      max_concurrent: 2\n"),
            "found max_concurrent with processing_mode",
        ),
        (
            ("primary_key: [order, number]", "primary_key: number\n    stop_when: all_seen"),
            "found stop_when with parent, allowed: on the parent's stream",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: tuple[str, str], found: str):
    with pytest.raises(InvalidPipeline) as refused:
        load_text(PIPELINE.replace(*change), "shop.yaml")
    assert found in str(refused.value)


async def test_a_child_that_is_held_up_by_an_earlier_run_of_its_own_waits_for_it():
    """Somebody has resumed it meanwhile; the parent's next run begins when it is over."""
    shop = Shop()
    shop.broken = {"/v1/orders/3/items"}
    world = await mined(shop)
    parked = (await runs(world))["items"]
    await again(world)
    assert (await runs(world))["orders"].run.partition("-")[0] == parked.run.partition("-")[0]
    await world.services.checkpoints.replace(replace(parked, state=RunState.CANCELLED))
    shop.broken = set()
    await again(world)
    assert items(world) == every_item()

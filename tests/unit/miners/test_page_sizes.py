"""The miner asks for pages as large as the source bears, and remembers it for each user."""

from shared.checkpoint import RunState
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import PIPELINE, World

SIZES = "    page_size: { param: limit, value: 10, minimum: 2, maximum: 20, adaptive: true }\n"
RULE = '    responses: [{ status: 500, body: { path: error.message, regex: "reduce" }, means: too_large }]\n'


def bearing(most: int, records: int, refusal: Response) -> tuple[World, list[int]]:
    """A source that refuses larger pages than it bears, and the sizes that were asked for."""
    asked: list[int] = []

    def respond(call: Call) -> Response:
        size, start = int(call.query("limit")), int(call.query("after", "0"))
        asked.append(size)
        if size > most:
            return refusal
        following = min(start + size, records)
        data = [{"id": number} for number in range(start, following)]
        return answer({"data": data, "next": str(following) if following < records else None})

    return World(respond, PIPELINE + SIZES + RULE), asked


async def mined(world: World) -> None:
    await world.add_user()
    await world.schedule()
    await world.run()


async def test_who_has_much_is_mined_in_ever_larger_pages():
    world, asked = bearing(100, 150, answer({}, 413))
    await mined(world)
    assert asked == [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
    assert world.ids() == list(range(150))


async def test_what_is_too_large_is_asked_for_in_smaller_pages_at_once_and_nothing_is_lost():
    for refusal in (answer({}, 413), answer({"error": {"message": "Please reduce the amount"}}, 500)):
        world, asked = bearing(11, 40, refusal)
        began = world.clock.now()
        await mined(world)
        assert asked == [10, 11, 12, 6, 7, 8]
        assert (world.clock.now() - began).total_seconds() < 61
        assert sorted(world.ids()) == list(range(40))


async def test_it_is_remembered_from_run_to_run():
    world, asked = bearing(4, 8, answer({}, 413))
    await mined(world)
    assert asked[:2] == [10, 5]
    asked.clear()
    world.later(hours=1)
    await world.schedule()
    await world.run()
    assert asked[0] < 5


async def test_a_source_that_bears_not_even_the_minimum_is_parked_as_it_would_be():
    world, asked = bearing(1, 8, answer({}, 413))
    await mined(world)
    checkpoint = await world.checkpoint()
    assert asked == [10, 5, 2]
    assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, "rejected")

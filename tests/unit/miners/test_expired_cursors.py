"""A source that does not know its own cursors any more."""

from collections.abc import Callable

from miners.failures import MOST_RESTARTS
from shared.checkpoint import RunState
from shared.errors import ErrorKind
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import PIPELINE, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
ALL = [0, 1, 2, 3, 4]
GOOD = pages_of(RECORDS)
EXPIRING = PIPELINE.replace("streams:", "  responses: [{ status: 410, means: cursor_expired }]\nstreams:")
"""Without the rule a 410 would be `rejected`."""


def forgetful(times: int) -> Callable[[Call], Response]:
    """A source that so many times does not know its second cursor any more."""
    left = [times]

    def respond(call: Call) -> Response:
        if call.query("after") == "4" and left[0]:
            left[0] -= 1
            return answer({}, 410)
        return GOOD(call)

    return respond


async def test_a_slice_whose_cursor_has_expired_is_read_again_from_its_beginning():
    """What it shows again is known by its key."""
    world = await started(World(forgetful(2), EXPIRING))
    await world.run()
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.restarts) == (RunState.DONE, 2)
    assert [call.query("after") for call in world.source.calls] == ["", "2", "4", "", "2", "4", "", "2", "4"]
    assert world.ids() == ALL


async def test_a_source_that_always_forgets_its_cursors_parks_the_run():
    world = await started(World(forgetful(99), EXPIRING))
    await world.run()
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, ErrorKind.CURSOR_EXPIRED)
    assert checkpoint.restarts == MOST_RESTARTS
    assert world.ids() == ALL[:4]


async def test_without_a_key_a_slice_is_not_read_again():
    """Everything would come twice."""
    world = await started(World(forgetful(1), EXPIRING.replace("    primary_key: id\n", "")))
    await world.run()
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, ErrorKind.CURSOR_EXPIRED)
    assert (checkpoint.next_seq, checkpoint.cursor) == (2, "4")


async def started(world: World) -> World:
    await world.add_user()
    await world.schedule()
    return world

import pytest

from devtools.cli.dead_letters import drop_one, replay_one
from processors.dead_letters import Letter, park_message
from shared.adapters.parked_table import Parked
from shared.checkpoint import RunState
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]


class Refusing:
    """An API that refuses the second page until it is told otherwise."""

    def __init__(self) -> None:
        self.refuses = True
        self._pages = pages_of(RECORDS)

    def __call__(self, call: Call) -> Response:
        return answer({}, 400) if self.refuses and call.query("after") else self._pages(call)


@pytest.fixture
async def world() -> World:
    """One run, parked at its second page."""
    built = World(Refusing())
    await built.add_user()
    await built.schedule()
    await built.run()
    assert (await built.checkpoint()).state is RunState.PARKED
    return built


async def _only(world: World) -> Parked:
    (parked,) = [parked async for parked in world.services.parked.all()]
    return parked


async def _none_left(world: World) -> bool:
    return not [parked async for parked in world.services.parked.all()]


async def test_a_replayed_run_goes_on_from_the_page_where_it_stopped(world: World):
    world.source.respond.refuses = False
    await replay_one(await _only(world), world.services)
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE
    assert world.ids() == [0, 1, 2, 3, 4]
    assert await _none_left(world)


async def test_a_dropped_run_ends_and_keeps_what_it_has_delivered(world: World):
    await drop_one(await _only(world), world.services)
    assert (await world.checkpoint()).state is RunState.CANCELLED
    assert world.ids() == [0, 1]
    assert await _none_left(world)


async def test_replaying_what_has_gone_on_meanwhile_changes_nothing(world: World):
    """The table of parked runs may name too much; the checkpoint is the truth."""
    world.source.respond.refuses = False
    parked = await _only(world)
    await replay_one(parked, world.services)
    await world.run()
    before = await world.checkpoint()
    await replay_one(parked, world.services)
    await world.run()
    assert await world.checkpoint() == before


async def test_a_message_that_is_not_ours_is_sent_again_under_a_new_id():
    """Duplicate detection would silently drop an id it has seen."""
    world = World(pages_of([]))
    await park_message(Letter("mine", b"hello", "id-1"), "not a wake-up", world.services)
    await replay_one(await _only(world), world.services)
    again = world.broker.receive("mine")
    assert again is not None
    assert again.message.body == b"hello"
    assert again.message.message_id != "id-1"
    assert await _none_left(world)


async def test_a_message_that_is_not_ours_can_be_forgotten():
    world = World(pages_of([]))
    await park_message(Letter("mine", b"hello", "id-1"), "not a wake-up", world.services)
    await drop_one(await _only(world), world.services)
    assert await _none_left(world)
    assert world.broker.receive("mine") is None


OFFSETS = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: { type: bearer, token: "{credentials.token}" }
streams:
  - name: posts
    path: /me/posts
    records: data
    primary_key: id
    paginator: { type: offset, total_path: total }
    parallel: { strategy: calculated_offsets, records_per_slice: 2, max_concurrent: 2 }
"""


class RefusingAt:
    """An API whose records are counted, and that refuses one offset until it is told otherwise."""

    def __init__(self, offset: int) -> None:
        self.refused: int | None = offset

    def __call__(self, call: Call) -> Response:
        first = int(call.query("offset"))
        if first == self.refused:
            return answer({}, 400)
        return answer({"data": [{"id": number} for number in range(first, min(first + 2, 8))], "total": 8})


class TestStrands:
    @pytest.fixture
    async def divided(self) -> World:
        """A run that is mined by two strands, of which one is parked."""
        built = World(RefusingAt(4), OFFSETS)
        await built.add_user()
        await built.schedule()
        await built.run()
        assert (await built.checkpoint()).parked_strands == 1
        return built

    async def test_a_replayed_strand_goes_on_with_its_run(self, divided: World):
        divided.source.respond.refused = None
        await replay_one(await _only(divided), divided.services)
        await divided.run()
        assert (await divided.checkpoint()).state is RunState.DONE
        assert sorted(map(int, map(str, divided.ids()))) == list(range(8))
        assert await _none_left(divided)

    async def test_a_dropped_strand_ends_its_run(self, divided: World):
        """Else the run would wait for it for ever, and no other would begin."""
        await drop_one(await _only(divided), divided.services)
        assert (await divided.checkpoint()).state is RunState.CANCELLED
        assert await _none_left(divided)

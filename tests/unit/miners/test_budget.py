"""Limits, blocks and breakers as the miner keeps to them."""

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from miners.miner import mine
from processors.dead_letters import Letter
from shared.checkpoint import RunState
from shared.errors import TemporaryFailure
from shared.messages import StreamKey
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, PIPELINE, World

AUTH = '  auth: { type: bearer, token: "{credentials.token}" }\n'
SECOND_STREAM = """
  - name: likes
    path: /me/likes
    records: data
    primary_key: id
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
"""


def limited(limits: str, streams: str = "") -> str:
    return PIPELINE.replace(AUTH, f"{AUTH}  limits: [{limits}]\n") + streams


def records(count: int) -> list[dict[str, object]]:
    return [{"id": number} for number in range(count)]


class Watched:
    """A world whose source notes who asked when."""

    def __init__(self, respond: Callable[[Call], Response], pipeline: str, **settings: str):
        self.asked: list[tuple[datetime, Call]] = []

        def noted(call: Call) -> Response:
            self.asked.append((self.world.clock.now(), call))
            return respond(call)

        self.world = World(noted, pipeline, settings)

    def most_in(self, span: timedelta, user: str | None = None) -> int:
        moments = [at for at, call in self.asked if user in (None, call.user)]
        return max(bisect_left(moments, at + span) - number for number, at in enumerate(moments))

    @property
    def seconds(self) -> float:
        return (self.asked[-1][0] - self.asked[0][0]).total_seconds()


async def test_no_window_sees_more_than_the_limit_and_nearly_all_of_it_is_used():
    watched = Watched(pages_of(records(40)), limited("{ per: app, requests: 10, span: 1m }"))
    for name in ("ann", "ben", "cem", "dan", "eve"):
        await watched.world.add_user(name, f"token-of-{name}")
    await watched.world.schedule()
    await watched.world.run()
    assert len(watched.asked) == 100
    assert watched.most_in(timedelta(minutes=1)) == 10
    assert 100 / 10 * 60 / watched.seconds >= 0.95


async def test_a_limit_of_each_user_leaves_the_others_alone():
    watched = Watched(pages_of(records(12)), limited("{ per: user, requests: 2, span: 1m }"))
    for name in ("ann", "ben"):
        await watched.world.add_user(name, f"token-of-{name}")
    await watched.world.schedule()
    await watched.world.run()
    assert watched.most_in(timedelta(minutes=1)) == 4
    assert [watched.most_in(timedelta(minutes=1), name) for name in ("ann", "ben")] == [2, 2]


async def test_a_page_comes_back_for_its_slot_by_the_brokers_clock():
    """It would else be late for each slot by as much as the broker is behind, and book another, for ever."""
    world = World(pages_of(records(12)), limited("{ per: app, requests: 1, span: 10s }"))
    behind = timedelta(seconds=20)
    await world.add_user()
    await world.schedule()
    for outcome in ("committed", "postponed"):
        wake_up = world.broker.receive("mine")
        assert wake_up is not None
        message = wake_up.message
        letter = Letter(message.queue, message.body, message.message_id, enqueued_at=world.clock.now() - behind)
        assert (await mine(letter, world.services, world.cache)).what == outcome
        wake_up.complete()
    until = (await world.checkpoint()).not_before
    assert until is not None
    assert until > world.clock.now()
    assert world.broker.sent[-1].at == until - behind


async def test_limits_of_an_endpoint_are_shared_by_the_streams_that_it_names():
    limits = "{ per: app, requests: 2, span: 1m, streams: [likes] }"
    watched = Watched(pages_of(records(12)), limited(limits, SECOND_STREAM))
    await watched.world.add_user()
    await watched.world.schedule()
    await watched.world.run()
    by_path: dict[str, list[datetime]] = {}
    for at, call in watched.asked:
        by_path.setdefault(call.path.rpartition("/")[2], []).append(at)
    assert by_path["posts"][-1] - by_path["posts"][0] < timedelta(seconds=5)
    assert by_path["likes"][-1] - by_path["likes"][0] > timedelta(minutes=2)


async def test_with_several_windows_the_narrowest_counts_at_each_moment():
    watched = Watched(
        pages_of(records(60)),
        limited("{ per: app, requests: 3, span: 10s }, { per: app, requests: 12, span: 2m }"),
    )
    await watched.world.add_user()
    await watched.world.schedule()
    await watched.world.run()
    assert watched.most_in(timedelta(seconds=10)) == 3
    assert watched.most_in(timedelta(minutes=2)) == 12


async def test_a_block_of_the_app_holds_back_every_user():
    told = []

    def respond(call: Call) -> Response:
        if call.user == "ann" and not told:
            told.append(call)
            usage = '{"call_count": 100, "estimated_time_to_regain_access": 7}'
            return answer({"error": {"code": 4}}, 403, x_app_usage=usage)
        return pages_of(records(8))(call)

    watched = Watched(respond, PIPELINE)
    for name in ("ann", "ben"):
        await watched.world.add_user(name, f"token-of-{name}")
    await watched.world.schedule()
    await watched.world.run()
    first = next(at for at, call in watched.asked if call.user == "ann")
    between = [at for at, _ in watched.asked if first < at < first + timedelta(minutes=7)]
    assert not between
    assert sum(call.user == "ben" for _, call in watched.asked) >= 4


async def test_a_block_of_a_user_holds_back_their_other_streams_and_nobody_else():
    told = []

    def respond(call: Call) -> Response:
        if call.user == "ann" and call.path.endswith("posts") and not told:
            told.append(call)
            return answer({}, 429, retry_after="600")
        return pages_of(records(8))(call)

    watched = Watched(respond, PIPELINE + SECOND_STREAM)
    for name in ("ann", "ben"):
        await watched.world.add_user(name, f"token-of-{name}")
    await watched.world.schedule()
    await watched.world.run()
    place, first = next((place, at) for place, (at, call) in enumerate(watched.asked) if call in told)
    between = {call.user for at, call in watched.asked[place + 1 :] if at < first + timedelta(minutes=10)}
    assert between == {"ben"}


async def test_a_source_that_does_not_answer_is_left_alone_and_then_asked_by_one():
    """Nothing is parked or dead-lettered meanwhile, however long it lasts."""
    away_until: list[datetime] = []

    def respond(call: Call) -> Response:
        if watched.world.clock.now() < away_until[0]:
            raise TemporaryFailure("the connection was reset")
        return pages_of(records(4))(call)

    watched = Watched(respond, PIPELINE)
    away_until.append(watched.world.clock.now() + timedelta(hours=6))
    for number in range(20):
        await watched.world.add_user(f"user{number}", f"token-of-{number}")
    await watched.world.schedule()
    await watched.world.run(steps=20_000)
    tried = [at for at, _ in watched.asked if at < away_until[0]]
    assert len(tried) < 80
    states = {(await watched.world.checkpoint(StreamKey("social", "posts", f"user{n}"))).state for n in range(20)}
    assert states == {RunState.DONE}
    assert not watched.world.broker.dead_letters


async def test_the_nearer_to_the_end_of_a_quota_the_slower():
    def respond(call: Call) -> Response:
        used = {"": 50, "2": 90, "4": 100}[call.query("after")]
        page = pages_of(records(6))(call)
        return Response(200, {**page.headers, "x-app-usage": f'{{"call_count": {used}}}'}, page.body)

    watched = Watched(respond, PIPELINE)
    await watched.world.add_user()
    await watched.world.schedule()
    await watched.world.run()
    first, second, third = (at for at, _ in watched.asked)
    assert second - first < timedelta(seconds=1)
    assert third - second == timedelta(seconds=30)


@pytest.mark.parametrize(("failures", "calls"), [(1, 2), (2, 3)])
async def test_what_is_gone_in_a_moment_costs_no_message(failures: int, calls: int):
    left = [failures]

    def respond(call: Call) -> Response:
        left[0] -= 1
        if left[0] >= 0:
            raise TemporaryFailure("the connection was reset")
        return pages_of(records(2))(call)

    watched = Watched(respond, PIPELINE, QUICK_RETRIES="2")
    await watched.world.add_user()
    await watched.world.schedule()
    outcome = await watched.world.mine_page()
    assert (outcome.what, len(watched.asked)) == ("committed", calls)
    assert (await watched.world.checkpoint()).retries == 0


async def test_a_source_that_says_when_is_not_asked_again_before():
    watched = Watched(lambda call: answer({}, 503, retry_after="30"), PIPELINE, QUICK_RETRIES="2")
    await watched.world.add_user()
    await watched.world.schedule()
    outcome = await watched.world.mine_page()
    assert (outcome.what, len(watched.asked)) == ("retried", 1)


async def test_a_message_that_comes_twice_does_not_use_a_slot_twice():
    watched = Watched(pages_of(records(8)), limited("{ per: app, requests: 1, span: 1m }"))
    await watched.world.add_user()
    await watched.world.schedule()
    await watched.world.mine_page()
    waiting = await watched.world.mine_page()
    assert waiting.what == "postponed"
    assert (await watched.world.checkpoint(KEY)).slots
    watched.world.clock.pass_to((await watched.world.checkpoint(KEY)).not_before)
    delivered = watched.world.broker.receive("mine")
    await watched.world.invoke(delivered.message)
    await watched.world.invoke(delivered.message)
    delivered.complete()
    await watched.world.run()
    assert watched.most_in(timedelta(minutes=1)) == 1
    assert watched.world.ids() == list(range(8))

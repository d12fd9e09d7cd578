"""What the miner does when a page can't be had: later, parked, or somebody else's turn; nobody else is disturbed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.parked_table import Parked
from shared.checkpoint import Checkpoint, RunState
from shared.errors import (
    ErrorKind,
    MalformedResponse,
    RequestRejected,
    TemporaryFailure,
)
from shared.messages import StreamKey, WakeUp
from shared.pipeline.responses import Response
from shared.retries import POLICY
from shared.users import User, UserState
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, PIPELINE, START, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
ALL = [0, 1, 2, 3, 4]
GOOD = pages_of(RECORDS)
BOB = StreamKey("social", "posts", "bob")
Script = Callable[[Call], Response]


def failing(times: int, failure: Response | Exception, user: str = "ann", then: Script = GOOD) -> Script:
    """An API that fails for one user so many times, and is well-behaved otherwise."""
    left = [times]

    def respond(call: Call) -> Response:
        if call.user != user or left[0] == 0:
            return then(call)
        left[0] -= 1
        if isinstance(failure, Exception):
            raise failure
        return failure

    return respond


async def started(world: World, *users: str) -> World:
    for name in users or ("ann",):
        await world.add_user(name, f"token-of-{name}")
    await world.schedule()
    return world


async def parked(world: World) -> list[Parked]:
    return [each async for each in world.services.parked.all()]


def ids_of(world: World, user: str) -> list[object]:
    return [line["id"] for line in world.lines() if line["_user"] == user]


PASSING = [
    (answer({}, 500), ErrorKind.TEMPORARY),
    (answer({"error": {"code": 2}}), ErrorKind.TEMPORARY),
    (TemporaryFailure("the connection failed: ConnectionResetError"), ErrorKind.TEMPORARY),
    (answer({}, 429), ErrorKind.RATE_LIMITED),
    (answer({"error": {"code": 32}}, 400), ErrorKind.RATE_LIMITED),
    (Response(200, {}, b"<html>log in</html>"), ErrorKind.MALFORMED),
    (answer({"data": "x"}), ErrorKind.MALFORMED),
    (MalformedResponse("the gzip body is cut off"), ErrorKind.MALFORMED),
]
LASTING = [
    (answer({}, 401), ErrorKind.INVALID_CREDENTIAL),
    (answer({"error": {"code": 190}}), ErrorKind.INVALID_CREDENTIAL),
    (answer({}, 404), ErrorKind.REJECTED),
    (answer({}, 302, location="https://evil.example"), ErrorKind.REJECTED),
    (RequestRejected("the next link leads to https://evil.example:443"), ErrorKind.REJECTED),
]


@pytest.mark.parametrize(("failure", "kind"), PASSING)
async def test_what_may_pass_is_tried_again_later_with_the_evidence_kept(
    failure: Response | Exception, kind: ErrorKind
):
    world = await started(World(failing(2, failure)))
    outcome = await world.mine_page()
    assert (outcome.what, outcome.facts["kind"], outcome.facts["failures"]) == ("retried", kind, 1)
    checkpoint = await world.checkpoint()
    assert (checkpoint.next_seq, checkpoint.failures, checkpoint.last_error_kind) == (0, 1, kind)
    assert checkpoint.not_before is not None
    assert checkpoint.not_before > START
    await world.run()
    assert world.ids() == ALL
    assert (await world.checkpoint()).failures == 0


@pytest.mark.parametrize(("failure", "kind"), PASSING)
async def test_what_does_not_pass_is_parked_in_the_end(failure: Response | Exception, kind: ErrorKind):
    world = await started(World(failing(1000, failure)))
    await world.run()
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.reason) == (RunState.PARKED, kind)
    assert len(world.source.calls) == POLICY[kind].times + 1
    (row,) = await parked(world)
    assert (row.user, row.run, row.reason) == ("ann", checkpoint.run, kind)
    assert row.error


@pytest.mark.parametrize(("failure", "kind"), LASTING)
async def test_what_would_fail_again_is_parked_at_once(failure: Response | Exception, kind: ErrorKind):
    world = await started(World(failing(1000, failure)))
    outcome = await world.mine_page()
    assert (outcome.what, outcome.facts["reason"]) == ("parked", kind)
    assert (await world.checkpoint()).state is RunState.PARKED
    assert len(world.source.calls) == 1
    assert len(await parked(world)) == 1


@pytest.mark.parametrize(("failure", "kind"), [*PASSING, *LASTING])
async def test_one_users_failure_disturbs_nobody_else(failure: Response | Exception, kind: ErrorKind):
    world = await started(World(failing(1000, failure, user="ann")), "ann", "bob")
    await world.run()
    assert ids_of(world, "bob") == ALL
    assert ids_of(world, "ann") == []
    assert (await world.checkpoint(BOB)).retries == 0
    assert (await world.checkpoint()).reason == kind


@pytest.mark.parametrize(("failure", "kind"), [*PASSING, *LASTING])
async def test_pages_before_a_failure_are_delivered_whatever_becomes_of_the_run(
    failure: Response | Exception, kind: ErrorKind
):
    def respond(call: Call) -> Response:
        return GOOD(call) if call.query("after", "0") == "0" else failing(1, failure)(call)

    world = await started(World(respond))
    await world.run()
    assert world.ids() == [0, 1]
    assert (await world.checkpoint()).reason == kind


async def test_a_parked_run_goes_on_where_it_stopped_when_it_is_resumed():
    world = await started(World(failing(1, answer({}, 404))))
    await world.run()
    wake_up = (await world.checkpoint()).wake_up()
    assert (await world.invoke(world.services.outgoing(wake_up))).what == "ignored"
    assert len(world.source.calls) == 1


# The user --------------------------------------------------------------------------------------------------------


async def paused(world: World) -> None:
    await world.services.users.put(User("ann", {"token": "x"}, state=UserState.PAUSED))


async def removed(world: World) -> None:
    await world.services.users.remove("ann")


async def expired(world: World) -> None:
    await world.services.users.put(User("ann", {"token": "x"}, expires_at=START - timedelta(seconds=1)))


async def without_credential(world: World) -> None:
    await world.services.users.put(User("ann", {"other": "x"}))


async def refused(world: World) -> None:
    await world.services.users.put(User("ann", {"token": "x"}, rejected=frozenset({"social"})))


CHANGES = [
    (paused, "user_paused"),
    (removed, "user_unknown"),
    (expired, "credential_expired"),
    (without_credential, "credential_missing"),
    (refused, "invalid_credential"),
]
Change = Callable[[World], Awaitable[None]]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
async def test_a_user_who_can_not_be_mined_is_parked_with_the_reason_and_nobody_else_is(change: Change, reason: str):
    """The source is not even asked; the page before it is delivered."""
    world = await started(World(GOOD), "ann", "bob")
    await world.mine_page()
    await world.mine_page()
    await change(world)
    await world.run()
    checkpoint = await world.checkpoint()
    assert (checkpoint.state, checkpoint.reason, checkpoint.last_error_kind) == (RunState.PARKED, reason, None)
    assert [row.reason for row in await parked(world)] == [reason]
    assert ids_of(world, "ann") == [0, 1]
    assert ids_of(world, "bob") == ALL
    assert sum(call.user == "ann" for call in world.source.calls) == 1


@pytest.mark.parametrize(("change", "reason"), CHANGES)
async def test_cured_by_the_user_the_run_goes_on_at_the_next_schedule(change: Change, reason: str):
    world = await started(World(GOOD))
    await world.mine_page()
    await change(world)
    await world.run()
    await world.add_user("ann", "new-token")
    world.later(hours=1)
    await world.schedule()
    await world.run()
    assert world.ids() == ALL
    assert await parked(world) == []
    assert (await world.checkpoint()).state is RunState.DONE


async def test_every_missing_credential_is_named_in_the_error():
    world = await started(World(GOOD))
    await without_credential(world)
    await world.run()
    (row,) = await parked(world)
    assert (row.reason, row.error) == ("credential_missing", "the user has no credential called token")


async def test_a_refused_credential_is_remembered_for_this_pipeline():
    """The other streams of the user need not ask to learn it."""
    world = await started(World(failing(1000, answer({}, 401))))
    await world.mine_page()
    user = await world.services.users.get("ann")
    assert user is not None
    assert user.rejected == {"social"}


async def test_a_credential_that_was_changed_meanwhile_is_tried_before_anything_is_refused():
    """The 401 was the old token's; the user must not be marked for it."""
    world = await started(World(failing(1, answer({}, 401))))
    world.source.meanwhile = lambda: world.add_user("ann", "new-token")
    outcome = await world.mine_page()
    assert (outcome.what, outcome.facts["error"]) == ("postponed", "the user was changed meanwhile")
    await world.run()
    assert world.ids() == ALL
    assert world.source.calls[-1].credential == "Bearer new-token"
    assert await parked(world) == []


async def test_a_user_who_was_removed_meanwhile_is_not_put_back():
    world = await started(World(failing(1000, answer({}, 401))))
    world.source.meanwhile = lambda: world.services.users.remove("ann")
    await world.run()
    assert await world.services.users.get("ann") is None
    assert (await world.checkpoint()).reason == "user_unknown"


@pytest.mark.parametrize("pipeline", [PIPELINE.replace("posts", "likes"), PIPELINE.replace("social", "mail")])
async def test_a_pipeline_or_stream_that_is_gone_parks_its_runs(pipeline: str):
    world = await started(World(GOOD))
    without = World(GOOD, pipeline=pipeline)
    world.services = replace(world.services, pipelines=without.services.pipelines)
    await world.run()
    assert (await world.checkpoint()).reason == "pipeline_unknown"
    assert world.source.calls == []


# Loops and limits -------------------------------------------------------------------------------------------------


def cursors(*named: str) -> Script:
    """An API whose pages have one record each, and name these cursors one after the other, the last for ever."""
    pages = iter(range(10_000))

    def respond(call: Call) -> Response:
        page = next(pages)
        return answer({"data": [{"id": page}], "next": named[min(page, len(named) - 1)]})

    return respond


def with_limits(**limits: int) -> str:
    return PIPELINE.rstrip("\n") + "".join(f"\n    {name}: {value}" for name, value in limits.items()) + "\n"


async def stopped(world: World) -> Checkpoint:
    await started(world)
    await world.run()
    checkpoint = await world.checkpoint()
    assert checkpoint.state is RunState.PARKED
    return checkpoint


async def test_a_cursor_that_comes_again_five_times_parks_the_run():
    """One page that names it, five that name it again; all six are kept."""
    world = World(cursors("same"))
    checkpoint = await stopped(world)
    assert checkpoint.reason == ErrorKind.CURSOR_LOOP
    assert len(world.source.calls) == 6
    assert world.ids() == [0, 1, 2, 3, 4, 5]


async def test_how_often_a_cursor_may_come_again_can_be_set():
    world = World(cursors("same"), pipeline=with_limits(repeated_cursor_limit=1))
    await stopped(world)
    assert len(world.source.calls) == 2
    assert world.ids() == [0, 1]


async def test_four_times_the_same_cursor_is_still_forgiven():
    world = await started(World(cursors("a", "a", "a", "a", "a", "b", "c", "")))
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE
    assert world.ids() == list(range(8))


async def test_a_longer_cycle_is_met_too():
    world = World(cursors(*[f"c{number % 7}" for number in range(500)]))
    assert (await stopped(world)).reason == ErrorKind.CURSOR_LOOP
    assert len(world.source.calls) < 80


async def test_a_resumed_loop_starts_counting_anew():
    """The source was mended: the run goes on; if not, it is parked again."""
    world = World(cursors("same"))
    await stopped(world)
    calls = len(world.source.calls)
    await world.resume()
    await world.run()
    assert (await world.checkpoint()).reason == ErrorKind.CURSOR_LOOP
    assert calls < len(world.source.calls) <= calls + 6


@pytest.mark.parametrize("limit", [1, 3])
async def test_pages_per_run_are_capped_and_all_up_to_the_cap_are_kept(limit: int):
    world = World(GOOD if limit == 1 else cursors(*map(str, range(50))), pipeline=with_limits(max_pages=limit))
    checkpoint = await stopped(world)
    assert checkpoint.reason == ErrorKind.PAGE_LIMIT
    assert len(world.source.calls) == limit
    assert len({line["_page"] for line in world.lines()}) == limit
    assert checkpoint.last_error == f"the run has {limit} pages and the source names another (max_pages)"


async def test_a_run_of_exactly_as_many_pages_as_allowed_is_done():
    world = await started(World(GOOD, pipeline=with_limits(max_pages=3)))
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE
    assert world.ids() == ALL


# Messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[]", b'{"pipeline": "social"}'])
async def test_a_message_that_is_not_ours_is_parked_with_its_bytes(body: bytes):
    world = World(GOOD)
    wake_up = WakeUp(pipeline="social", stream="posts", user="ann", run="r", slice="all", seq=0)
    outcome = await world.invoke(replace(world.services.outgoing(wake_up), body=body, message_id="strange"))
    assert outcome.what == "parked"
    (row,) = await parked(world)
    assert (row.body, row.queue, row.reason) == (body, "mine", ErrorKind.MALFORMED)


async def test_a_wake_up_of_nobodys_run_is_ignored():
    world = World(GOOD)
    for user in ("nobody", KEY.user):
        wake_up = WakeUp(pipeline="social", stream="posts", user=user, run="r", slice="all", seq=0)
        assert (await world.invoke(world.services.outgoing(wake_up))).what == "ignored"
    assert world.source.calls == []
    assert world.broker.sent == []

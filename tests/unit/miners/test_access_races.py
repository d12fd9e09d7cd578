"""Several workers at one user's tokens: one asks, the others wait, and no token that counts is lost."""

import dataclasses
from datetime import timedelta

import pytest

from miners.access import LATER
from shared.checkpoint import RunState
from shared.errors import StorageUnavailable, TemporaryFailure
from shared.messages import StreamKey
from shared.users import User
from tests.fakes.oauth_world import ALL, stored, with_users, world_of

BOB = StreamKey("social", "posts", "bob")


async def lost() -> None:
    raise TemporaryFailure("no whole response within 30 s")


@pytest.mark.parametrize("grace", [True, False])
async def test_a_lost_answer_is_survived_where_the_server_still_knows_the_old_refresh_token(grace: bool):
    """The old one is tried once more; where that is refused, that user alone stands still."""
    world = world_of()
    world.token_server.grace = grace
    await with_users(world, "ann", "bob")
    world.token_endpoint.meanwhile = lost
    await world.run()
    ann, bob = await world.checkpoint(), await world.checkpoint(BOB)
    assert bob.state is RunState.DONE
    assert [call["refresh_token"] for call in world.token_endpoint.calls].count("seed-of-ann") == 2
    if grace:
        assert ann.state is RunState.DONE
    else:
        assert (ann.state, ann.reason) == (RunState.PARKED, "invalid_credential")
        assert "invalid_grant" in ann.last_error


async def test_a_lease_of_somebody_else_is_waited_for():
    """Two seconds inside; then the wake-up is scheduled, and no call is made."""
    world = await with_users(world_of())
    before = world.clock.now()
    await world.services.tokens.write((await stored(world)).leased("other", before + timedelta(seconds=60)))
    outcome = await world.mine_page()
    assert outcome.what == "postponed"
    assert world.clock.now() - before == timedelta(seconds=2)
    assert (await world.checkpoint()).not_before == world.clock.now() + LATER
    assert (await world.checkpoint()).failures == 0
    assert world.token_endpoint.calls == []
    await world.run()  # whoever had the lease has died
    assert world.ids() == ALL
    assert world.clock.now() >= before + timedelta(seconds=60)


async def test_a_token_that_comes_while_it_is_waited_for_is_used_at_once():
    world = await with_users(world_of())
    leased = await world.services.tokens.write(
        (await stored(world)).leased("other", world.clock.now() + timedelta(seconds=60))
    )
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            await as_another_worker_would()

    async def as_another_worker_would() -> None:
        helper = await with_users(world_of())
        await helper.run()
        mine = await stored(helper)
        world.token_server.granted = helper.token_server.granted
        world.token_server.refresh_tokens = helper.token_server.refresh_tokens
        assert mine.renew_at is not None
        await world.services.tokens.write(
            leased.renewed(mine.seed, mine.access_token, mine.refresh_token, mine.renew_at)
        )

    world.services = dataclasses.replace(world.services, sleep=sleep)
    assert (await world.mine_page()).what == "committed"
    assert len(pauses) == 3
    assert world.token_endpoint.calls == []


async def test_an_answer_that_comes_after_the_lease_has_passed_on_is_kept():
    """Nobody has stored another since, and the server may grant none again for the old refresh token."""
    world = await with_users(world_of())

    async def passed_on() -> None:
        leased = await stored(world)
        await world.services.tokens.write(leased.leased("other", world.clock.now() + timedelta(seconds=60)))

    world.token_endpoint.meanwhile = passed_on
    assert (await world.mine_page()).what == "committed"
    kept = await stored(world)
    assert (kept.generation, kept.lease_owner, kept.refresh_token) == (1, "", "refresh-0-of-ann")


async def test_of_two_answers_the_one_that_is_stored_first_counts():
    world = await with_users(world_of())
    wake_up = world.broker.receive("mine")
    assert wake_up is not None

    async def another() -> None:
        world.later(seconds=61)
        assert (await world.invoke(wake_up.message)).what == "committed"

    world.token_endpoint.meanwhile = another
    assert (await world.handle(wake_up)).what == "overtaken"
    await world.run()
    assert world.ids() == ALL
    assert (await stored(world)).generation == 1
    assert len(world.token_server.exchanges) == 2


async def test_a_refusal_counts_only_for_whom_still_has_the_lease():
    """Held up for longer than the lease, it was another's renewal that made the old refresh token worthless."""
    world = world_of()
    world.token_server.grace = False
    await with_users(world)
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    another = [True]

    def instead(user: str) -> None:
        if another:
            another.clear()
            world.later(seconds=61)
            refused = world.token_server.exchange({"grant_type": "refresh_token", "refresh_token": "seed-of-ann"})
            assert refused.status == 200

    async def stores() -> None:
        leased = await stored(world)
        await world.services.tokens.write(leased.leased("other", world.clock.now() + timedelta(seconds=60)))

    world.token_endpoint.instead = instead  # type: ignore[assignment]  # it never answers
    world.token_endpoint.meanwhile = stores
    assert (await world.handle(wake_up)).what == "postponed"
    user = await world.services.users.get("ann")
    assert user is not None
    assert user.rejected == frozenset()


async def test_a_worker_that_still_knows_an_older_credential_leaves_the_new_ones_tokens_alone():
    world = await with_users(world_of())
    old = world.broker.receive("mine")
    assert old is not None
    world.token_server.refresh_tokens["another-seed"] = "ann"

    async def put_in_and_used() -> None:
        await world.services.users.put(User("ann", {"refresh": "another-seed"}))
        await world.invoke(old.message)

    world.users.meanwhile = put_in_and_used
    assert (await world.handle(old)).what in {"overtaken", "postponed"}
    assert [call["refresh_token"] for call in world.token_endpoint.calls] == ["another-seed"]
    await world.run()
    assert world.ids() == ALL


async def test_a_token_that_can_not_be_stored_is_not_used():
    """Storage goes away behind the lease: no page is fetched; the old refresh token is tried once more."""
    world = await with_users(world_of())
    wake_up = world.broker.receive("mine")
    assert wake_up is not None
    world.tokens.cut_off(1, answered=True)
    with pytest.raises(StorageUnavailable):
        await world.handle(wake_up)
    assert world.source.calls == []
    world.tokens.mend()
    await world.run()
    assert world.ids() == ALL


async def test_a_write_whose_answer_was_lost_is_taken_for_what_it_is():
    world = await with_users(world_of())

    async def answer_gets_lost() -> None:
        world.tokens.lose_next_answer = True

    world.token_endpoint.meanwhile = answer_gets_lost
    assert (await world.mine_page()).what == "committed"
    assert (await stored(world)).generation == 1
    assert len(world.token_server.exchanges) == 1


async def test_a_user_who_is_removed_meanwhile_gets_no_new_row():
    world = await with_users(world_of())

    async def removed() -> None:
        await world.services.users.remove("ann")
        await world.services.tokens.forget("ann")

    world.token_endpoint.meanwhile = removed
    await world.run()
    assert world.tokens.rows == {}
    assert (await world.checkpoint()).reason == "user_unknown"

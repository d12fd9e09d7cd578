"""Tokens that have to be asked for: when they are, where they are kept, and whom a refusal concerns."""

import dataclasses
from datetime import timedelta

import pytest

from miners.access import FRESH
from shared.adapters.token_table import TokenTable
from shared.checkpoint import RunState
from shared.errors import ErrorKind
from shared.messages import StreamKey
from shared.pipeline.responses import Response
from shared.users import User
from tests.fakes.oauth_world import ALL, CLIENT, LOGIN, RECORDS, REFRESH, again, stored, with_users, world_of
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, World

BOB = StreamKey("social", "posts", "bob")


@pytest.mark.parametrize("auth", [REFRESH, CLIENT, LOGIN])
async def test_one_token_serves_all_pages_until_it_ends(auth: str):
    world = await with_users(world_of(auth))
    await world.run()
    assert world.ids() == ALL
    assert len(world.token_server.exchanges) == 1
    assert {call.credential for call in world.source.calls} == {f"Bearer {(await stored(world)).access_token}"}


async def test_who_is_logged_out_meanwhile_is_logged_in_again():
    world = await with_users(world_of(LOGIN))
    assert (await world.mine_page()).what == "committed"
    world.token_server.end_access("ann")
    await world.run()
    assert world.ids() == ALL
    assert len(world.token_server.exchanges) == 2


async def test_a_wrong_password_parks_its_user_and_nobody_else():
    world = await with_users(world_of(LOGIN), "ann", "bob")
    del world.token_server.clients["app", "secret-of-ann"]
    await world.run()
    ann, bob = await world.checkpoint(), await world.checkpoint(BOB)
    assert (ann.state, ann.reason, bob.state) == (RunState.PARKED, "invalid_credential", RunState.DONE)
    assert [line["id"] for line in world.lines()] == ALL


async def test_users_do_not_share_tokens():
    world = await with_users(world_of(), "ann", "bob")
    await world.run()
    assert sorted(user for _, user in world.token_server.exchanges) == ["ann", "bob"]
    assert len({(call.user, call.credential) for call in world.source.calls}) == 2


async def test_a_token_is_renewed_shortly_before_it_ends():
    """A token of 100 seconds is renewed after 90, the last tenth of its life."""
    world = world_of()
    world.token_server.life = 100
    await with_users(world)
    for seconds, exchanges in ((0, 1), (89, 1), (2, 2)):
        world.later(seconds=seconds)
        await world.mine_page()
        assert len(world.token_server.exchanges) == exchanges


async def test_a_token_is_stored_before_it_is_used():
    """And its refresh token with it: a worker that dies at once loses nothing."""
    world = world_of()
    respond, seen = world.source.respond, []

    def looking(call: Call) -> Response:
        (row,) = world.tokens.rows.values()
        seen.append(world.cipher.decrypt(row.values["credentials"]))  # type: ignore[arg-type]  # it is bytes
        assert seen[-1]["access_token"] in call.credential
        return respond(call)

    world.source.respond = looking
    await with_users(world)
    await world.run()
    assert world.ids() == ALL
    assert seen[0]["refresh_token"] in world.token_server.refresh_tokens


async def test_each_exchange_takes_the_refresh_token_that_came_last():
    world = await with_users(world_of())
    await world.run()
    for _ in range(3):
        await again(world, hours=1)
    sent = [call["refresh_token"] for call in world.token_endpoint.calls]
    assert sent == ["seed-of-ann", "refresh-0-of-ann", "refresh-2-of-ann", "refresh-4-of-ann"]
    assert (await stored(world)).generation == 4


async def test_a_server_that_does_not_rotate_is_asked_with_the_same_token_again():
    world = world_of()
    world.token_server.rotating = False
    await with_users(world)
    await world.run()
    await again(world, hours=1)
    assert [call["refresh_token"] for call in world.token_endpoint.calls] == ["seed-of-ann"] * 2


async def test_the_token_does_not_stay_in_the_cursor():
    """The API repeats it in its next link."""
    world = await with_users(world_of())
    await world.mine_page()
    assert (await world.checkpoint()).cursor == "https://api.example.com/v1/me/posts?after=2"


async def test_a_dead_refresh_token_stops_one_user_until_there_is_another():
    world = await with_users(world_of(), "ann", "bob")
    world.token_server.revoke("ann")
    await world.run()
    ann = await world.services.users.get("ann")
    assert ann is not None
    assert ann.rejected == {"social"}
    assert (await world.checkpoint()).reason == "invalid_credential"
    assert (await world.checkpoint(BOB)).state is RunState.DONE
    world.token_server.refresh_tokens["another-seed"] = "ann"
    await world.services.users.put(User("ann", {"refresh": "another-seed"}))
    await again(world, hours=1)
    assert (await world.checkpoint()).state is RunState.DONE


async def test_another_credential_takes_the_place_of_tokens_that_are_stored():
    """Though those are good for long; the rotated refresh token of the old one is not sent any more."""
    world = await with_users(world_of())
    await world.run()
    world.token_server.refresh_tokens["another-seed"] = "ann"
    await world.services.users.put(User("ann", {"refresh": "another-seed"}))
    await again(world, minutes=1)
    assert [call["refresh_token"] for call in world.token_endpoint.calls] == ["seed-of-ann", "another-seed"]


async def test_the_same_credential_again_goes_on_with_the_rotated_token():
    """As `headframe mine` puts its users in at each call; what they began with is worth nothing any more."""
    world = await with_users(world_of())
    await world.run()
    await world.services.users.put(User("ann", {"refresh": "seed-of-ann"}))
    await again(world, hours=1)
    assert world.token_endpoint.calls[-1]["refresh_token"] == "refresh-0-of-ann"
    assert (await world.checkpoint()).state is RunState.DONE


async def test_a_refused_token_that_should_be_good_is_renewed_once_and_the_page_fetched_again():
    world = await with_users(world_of())
    await world.mine_page()
    world.later(minutes=2)
    world.token_server.end_access("ann")
    outcome = await world.mine_page()
    assert outcome.what == "committed"
    assert len(world.token_server.exchanges) == 2
    await world.run()
    assert world.ids() == ALL


async def test_a_fresh_token_that_is_refused_says_that_the_credential_is_not_let_in():
    """The endpoint grants, the API refuses: asked twice, not for ever."""
    world = await with_users(world_of(), "ann", "bob")
    respond = world.source.respond
    world.source.respond = lambda call: answer({}, 401) if call.user == "ann" else respond(call)
    await world.run()
    assert (await world.checkpoint()).reason == "invalid_credential"
    assert [user for _, user in world.token_server.exchanges].count("ann") == 1
    assert (await world.checkpoint(BOB)).state is RunState.DONE


async def test_the_refusal_of_a_token_that_has_taken_its_time_is_tried_again():
    """A worker that was held up for minutes between token and page has learned nothing about the credential."""
    world = await with_users(world_of())
    respond, held_up = world.source.respond, [True]

    def slow(call: Call) -> Response:
        if held_up:
            held_up.clear()
            world.later(seconds=FRESH.total_seconds())
            world.token_server.end_access("ann")
        return respond(call)

    world.source.respond = slow
    await world.run()
    assert world.ids() == ALL
    assert len(world.token_server.exchanges) == 2


@pytest.mark.parametrize(
    ("response", "kind", "wait"),
    [
        (answer({}, 429, retry_after="90"), ErrorKind.RATE_LIMITED, 90),
        (answer({}, 503, retry_after="90"), ErrorKind.TEMPORARY, 90),
        (answer({}, 500), ErrorKind.TEMPORARY, 0),
        (Response(200, {}, b"<html>log in</html>"), ErrorKind.TEMPORARY, 0),
        (answer({}), ErrorKind.MALFORMED, 0),
    ],
)
async def test_a_token_endpoint_that_fails_schedules_the_page_for_later(
    response: Response, kind: ErrorKind, wait: float
):
    """Not before the time it asks for, by any stream of the user."""
    world = await with_users(world_of())
    began, answers = world.clock.now(), [response]
    world.token_endpoint.instead = lambda user: answers.pop() if answers else None
    outcome = await world.mine_page()
    assert outcome.what == "retried"
    checkpoint, tokens = await world.checkpoint(), await stored(world)
    assert (checkpoint.last_error_kind, checkpoint.failures) == (kind, 1)
    assert checkpoint.not_before is not None
    assert checkpoint.not_before >= began + timedelta(seconds=wait)
    assert tokens.leased_until == (began + timedelta(seconds=wait) if wait else None)
    await world.run()
    assert world.ids() == ALL


async def test_tokens_that_no_key_opens_are_kept_for_the_right_key():
    """An instance without the new key must not begin again with a refresh token that was rotated long ago."""
    world = await with_users(world_of())
    await world.mine_page()
    other = world_of()
    world.services = dataclasses.replace(world.services, tokens=TokenTable(world.tokens, other.cipher))
    before = dict(world.tokens.rows)
    outcome = await world.mine_page()
    assert (outcome.what, outcome.facts["kind"]) == ("retried", "temporary")
    assert world.tokens.rows == before
    assert len(world.token_endpoint.calls) == 1


async def test_a_parameter_that_is_missing_is_rejected():
    world = await with_users(world_of(REFRESH.replace("app", '"{params.app}"')))
    await world.run()
    assert (await world.checkpoint()).reason == "rejected"
    assert world.tokens.rows == {}


async def test_a_pipeline_without_oauth_touches_no_token():
    world = World(pages_of(RECORDS))
    await world.add_user()
    await world.schedule()
    await world.run()
    assert world.tokens.rows == {}
    assert (await world.checkpoint(KEY)).state is RunState.DONE

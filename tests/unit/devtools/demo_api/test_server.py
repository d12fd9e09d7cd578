"""What a client of the demo API meets, by real requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from devtools.demo_api.faults import MOVED_RECORD, Faults
from devtools.demo_api.server import Options

Serve = Callable[[Options], Awaitable[Any]]
STREAMS = ("posts", "comments")
SMALL = Options(users=6, user_rate=0, app_rate=0)


def owned(client: Any, user: str, stream: str) -> dict[str, int]:
    return client.api.catalogue.streams[user, stream].latest_versions()


def largest(client: Any, stream: str) -> str:
    return max(client.api.catalogue.tokens.values(), key=lambda user: len(owned(client, user, stream)))


@pytest.mark.parametrize("stream", STREAMS)
async def test_every_user_reads_exactly_their_own_records(serve: Serve, stream: str) -> None:
    """All of them, once, and nobody else's."""
    client = await serve(SMALL)
    for user in client.api.catalogue.tokens.values():
        records = await client.read_all(user, stream)
        assert [record["id"] for record in records] == list(owned(client, user, stream))
        assert {record["author"]["username"] for record in records} <= {user}


async def test_the_next_url_of_posts_is_absolute_and_repeats_the_token(serve: Serve) -> None:
    """As Graph does; following it gives the next page, with the bearer token or without it."""
    client = await serve(SMALL)
    user = largest(client, "posts")
    body = await client.page(user, "posts")
    query = parse_qs(urlsplit(body["paging"]["next"]).query)
    assert body["paging"]["next"].startswith(f"{client.base}/v1/me/posts?")
    assert query["access_token"] == [client.token(user)]
    assert query["after"] == [body["paging"]["cursors"]["after"]]
    for headers in ({}, {"Authorization": f"Bearer {client.token(user)}"}):
        async with client.session.get(body["paging"]["next"], headers=headers) as response:
            followed = await response.json()
        assert followed == await client.page(user, "posts", client.next_cursor("posts", body))


async def test_the_last_page_has_no_next(serve: Serve) -> None:
    """Absent for posts, null for comments."""
    client = await serve(SMALL)
    lengths = {user: len(owned(client, user, "posts")) for user in client.api.catalogue.tokens.values()}
    short = next(user for user, length in lengths.items() if 0 < length <= 100)
    assert "next" not in (await client.page(short, "posts"))["paging"]
    users = client.api.catalogue.tokens.values()
    short = next(user for user in users if len(owned(client, user, "comments")) <= 100)
    assert (await client.page(short, "comments"))["next_cursor"] is None


@pytest.mark.parametrize(("limit", "records"), [({}, 25), ({"limit": 7}, 7), ({"limit": 5000}, 100)])
async def test_limit_defaults_to_25_and_is_clamped_to_100(serve: Serve, limit: Any, records: int) -> None:
    """Silently, as real servers do."""
    client = await serve(SMALL)
    _, body, _ = await client.get(largest(client, "posts"), "/v1/me/posts", **limit)
    assert len(body["data"]) == records


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/v1/me/posts", {"limit": "0"}, 400, 100),
        ("/v1/me/posts", {"limit": "many"}, 400, 100),
        ("/v1/me/posts", {"limit": "9" * 5000}, 400, 100),
        ("/v1/me/posts", {"after": "rubbish"}, 400, 100),
        ("/v1/me/comments", {"cursor": "rubbish"}, 400, 100),
        ("/v1/me/friends", {}, 404, 2500),
        ("/nowhere", {}, 404, 2500),
    ],
)
async def test_a_bad_request_is_a_graph_error(serve: Serve, path: str, query: Any, status: int, code: int) -> None:
    """Status, type, code and a message."""
    client = await serve(SMALL)
    found, body, _ = await client.get("u001", path, **query)
    assert (found, body["error"]["code"]) == (status, code)
    assert body["error"]["message"]
    assert body["error"]["type"] in ("OAuthException", "GraphMethodException")


async def test_an_expired_cursor_is_a_400_with_a_code_of_its_own(serve: Serve) -> None:
    """Subcode 4602: start again."""
    client = await serve(Options(users=6, user_rate=0, app_rate=0, cursor_seconds=1e-6))
    user = largest(client, "posts")
    cursor = client.next_cursor("posts", await client.page(user, "posts"))
    status, body, _ = await client.get(user, "/v1/me/posts", after=cursor)
    assert (status, body["error"]["code"], body["error"]["error_subcode"]) == (400, 100, 4602)


@pytest.mark.parametrize(
    ("path", "bearer", "repeated"),
    [
        ("/v1/me/posts", None, None),
        ("/v1/me/posts", "EAAdemo-nobody", None),
        ("/v1/u002/posts", "u001", None),
        ("/v1/u999/posts", "u001", None),
        ("/v1/me/posts", "u001", "u002"),
        ("/v1/me/posts", None, "EAAdemo-nobody"),
    ],
)
async def test_a_foreign_or_unknown_token_is_a_401(
    serve: Serve, path: str, bearer: str | None, repeated: str | None
) -> None:
    """No token, an invented one, another user's path, or two tokens that disagree: code 190."""
    client = await serve(SMALL)
    tokens = {user: client.token(user) for user in ("u001", "u002")}
    headers = {"Authorization": f"Bearer {tokens.get(bearer, bearer)}"} if bearer else {}
    query = {"access_token": tokens.get(repeated, repeated)} if repeated else {}
    async with client.session.get(client.base + path, headers=headers, params=query) as response:
        body = await response.json()
    assert response.status == 401
    assert (body["error"]["type"], body["error"]["code"]) == ("OAuthException", 190)


async def test_a_users_own_name_is_as_good_as_me(serve: Serve) -> None:
    """The token decides, and it agrees."""
    client = await serve(SMALL)
    by_name, by_token = [await client.get("u001", f"/v1/{owner}/posts") for owner in ("u001", "me")]
    assert by_name[0] == 200
    assert by_name[1]["data"] == by_token[1]["data"]


async def test_a_cursor_of_another_user_is_refused(serve: Serve) -> None:
    """It leads nowhere but to a 400."""
    client = await serve(SMALL)
    user = largest(client, "comments")
    cursor = client.next_cursor("comments", await client.page(user, "comments"))
    other = next(name for name in client.api.catalogue.tokens.values() if name != user)
    status, body, _ = await client.get(other, "/v1/me/comments", cursor=cursor)
    assert (status, body["error"]["error_subcode"]) == (400, 4601)


async def test_a_user_who_is_too_fast_is_told_when_to_come_back(serve: Serve) -> None:
    """429 with Retry-After and the limit headers; another user goes on."""
    client = await serve(Options(users=6, user_rate=1, app_rate=0))
    answers = [await client.get("u001", "/v1/me/posts") for _ in range(4)]
    status, body, response = answers[-1]
    assert (status, body["error"]["code"], response.headers["Retry-After"]) == (429, 17, "1")
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert (await client.get("u002", "/v1/me/posts"))[0] == 200


async def test_an_expired_user_is_refused_for_ever(serve: Serve) -> None:
    """401, code 190 with the subcode of an expired session, on every request."""
    client = await serve(Options(users=6, user_rate=0, app_rate=0, faults=Faults(expired_users=1)))
    (user,) = client.api.catalogue.expired
    answers = [await client.get(user, f"/v1/me/{stream}") for stream in STREAMS * 2]
    assert {(status, body["error"]["code"], body["error"]["error_subcode"]) for status, body, _ in answers} == {
        (401, 190, 463)
    }


@pytest.mark.parametrize("stream", STREAMS)
async def test_the_looping_users_second_page_names_itself(serve: Serve, stream: str) -> None:
    """The cursor repeats for ever, and so do the records."""
    client = await serve(Options(users=6, user_rate=0, app_rate=0, faults=Faults(looping_users=1)))
    (user,) = client.api.catalogue.looping
    cursor = client.next_cursor(stream, await client.page(user, stream))
    pages = [await client.page(user, stream, cursor) for _ in range(4)]
    assert {client.next_cursor(stream, page) for page in pages} == {cursor}
    assert all(page["data"] == pages[0]["data"] for page in pages)


@pytest.mark.parametrize("stream", STREAMS)
async def test_moved_records_are_shown_again_and_nothing_is_hidden(serve: Serve, stream: str) -> None:
    """With a new version, at the end; a second reading is at rest."""
    faults = Faults(rates={MOVED_RECORD: 1.0})
    client = await serve(Options(users=6, user_rate=0, app_rate=0, faults=faults))
    user = largest(client, stream)
    records = [(record["id"], record["version"]) for record in await client.read_all(user, stream, limit=20)]
    latest = owned(client, user, stream)
    moved = [record_id for record_id, version in latest.items() if version == 2]
    assert moved
    assert len(records) == len(set(records)) == len(latest) + len(moved)
    assert set(latest.items()) <= set(records)
    assert len(await client.read_all(user, stream)) == len(latest)


async def test_the_truth_names_every_record_and_what_was_shown(serve: Serve) -> None:
    """One line per user and stream, without a token."""
    client = await serve(SMALL)
    user = largest(client, "posts")
    await client.page(user, "posts")
    async with client.session.get(client.base + "/truth") as response:
        lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert [(line["user"], line["stream"]) for line in lines] == list(client.api.catalogue.streams)
    line = next(line for line in lines if (line["user"], line["stream"]) == (user, "posts"))
    assert line["outcome"] == "complete"
    assert line["records"] == owned(client, user, "posts")
    assert list(line["shown"]) == list(line["records"])[:100]


async def test_stats_count_what_was_answered(serve: Serve) -> None:
    """Requests, pages, statuses, faults, calls per user."""
    client = await serve(Options(users=6, user_rate=0, app_rate=0, faults=Faults(rates={"server_error": 1.0})))
    user = largest(client, "posts")
    for _ in range(4):
        await client.get(user, "/v1/me/posts")
    async with client.session.get(client.base + "/stats") as response:
        stats = await response.json()
    assert (stats["requests"], stats["pages"], stats["records"], stats["limited"]) == (4, 1, 25, 0)
    assert stats["statuses"] == {"200": 1, "500": 3}
    assert stats["faults"] == {"server_error": 3}
    assert stats["calls"] == {user: 4}


async def test_healthz_answers(serve: Serve) -> None:
    """Without a token."""
    client = await serve(SMALL)
    async with client.session.get(client.base + "/healthz") as response:
        assert await response.json() == {"status": "ok"}


async def test_two_servers_of_one_seed_give_the_same_bytes(serve: Serve) -> None:
    """Whatever differs is the port in the next URL."""
    first, second = await asyncio.gather(serve(SMALL), serve(SMALL))
    user = largest(first, "comments")
    assert await first.read_all(user, "comments") == await second.read_all(user, "comments")


async def test_latency_delays_a_page_and_not_the_truth(serve: Serve) -> None:
    """A minute of latency: the page is still out when the truth is in."""
    client = await serve(Options(users=2, user_rate=0, app_rate=0, latency_seconds=60))
    page = asyncio.ensure_future(client.page("u001", "posts"))
    async with client.session.get(client.base + "/truth") as response:
        assert response.status == 200
    assert not page.done()
    page.cancel()

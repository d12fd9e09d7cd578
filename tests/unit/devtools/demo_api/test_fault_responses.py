"""Every fault, as a client meets it on a socket: the first request suffers it, the second one succeeds."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from devtools.demo_api.faults import Fault, Faults
from devtools.demo_api.server import Options

Serve = Callable[[Options], Awaitable[Any]]


async def serve_fault(serve: Serve, fault: Fault, **more: Any) -> Any:
    """A server whose every first try suffers the fault."""
    faults = Faults(rates={fault.value: 1.0}, in_a_row=1, **more)
    return await serve(Options(users=6, user_rate=0, app_rate=0, faults=faults))


def reader(client: Any) -> str:
    """A user with several pages of posts."""
    streams = client.api.catalogue.streams
    return max(client.api.catalogue.tokens.values(), key=lambda user: len(streams[user, "posts"]))


async def raw(client: Any, stream: str = "posts") -> bytes:
    """The bytes of one answer; ends with whatever the connection ends with, a reset included."""
    port = urlsplit(client.base).port
    incoming, outgoing = await asyncio.open_connection("127.0.0.1", port)
    outgoing.write(
        f"GET /v1/me/{stream}?limit=100 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Authorization: Bearer {client.token(reader(client))}\r\n\r\n".encode()
    )
    received = b""
    try:
        while chunk := await incoming.read(65536):
            received += chunk
    except ConnectionResetError:
        received += b"<reset>"
    finally:
        outgoing.close()
    return received


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


async def assert_recovered(client: Any, fault: Fault) -> None:
    """The second try is a page of 100 records, and the fault was counted."""
    status, _, body = parts(await raw(client))
    assert (status, len(json.loads(body)["data"])) == (200, 100)
    assert client.api.stats.faults == {fault.value: 1}


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.THROTTLED_SECONDS, 429, 4),
        (Fault.THROTTLED_DATE, 429, 4),
        (Fault.THROTTLED_BARE, 429, 4),
        (Fault.SERVER_ERROR, 500, 2),
        (Fault.UNAVAILABLE, 503, 2),
        (Fault.TRANSIENT_IN_200, 200, 2),
        (Fault.THROTTLE_IN_200, 200, 4),
    ],
)
async def test_a_graph_error_with_status_and_code(serve: Serve, fault: Fault, status: int, code: int) -> None:
    """And `is_transient`, as Graph marks what may be tried again."""
    client = await serve_fault(serve, fault)
    found, headers, body = parts(await raw(client))
    error = json.loads(body)["error"]
    assert (found, error["code"], error["is_transient"]) == (status, code, True)
    assert headers["Content-Type"] == "application/json"
    await assert_recovered(client, fault)


@pytest.mark.parametrize("fault", [Fault.THROTTLED_SECONDS, Fault.UNAVAILABLE])
async def test_retry_after_in_seconds(serve: Serve, fault: Fault) -> None:
    """As many as the fault file says."""
    client = await serve_fault(serve, fault, retry_after_seconds=2)
    assert parts(await raw(client))[1]["Retry-After"] == "2"


async def test_retry_after_as_an_http_date(serve: Serve) -> None:
    """In GMT, so many seconds from now."""
    client = await serve_fault(serve, Fault.THROTTLED_DATE, retry_after_seconds=300)
    date = parsedate_to_datetime(parts(await raw(client))[1]["Retry-After"])
    assert timedelta(seconds=100) < date - datetime.now(UTC) <= timedelta(seconds=300)


@pytest.mark.parametrize("fault", [Fault.THROTTLED_BARE, Fault.SERVER_ERROR, Fault.BAD_GATEWAY])
async def test_no_retry_after_at_all(serve: Serve, fault: Fault) -> None:
    """The client has to know by itself."""
    client = await serve_fault(serve, fault)
    assert "Retry-After" not in parts(await raw(client))[1]


@pytest.mark.parametrize(("fault", "status"), [(Fault.BAD_GATEWAY, 502), (Fault.HTML_LOGIN, 200)])
async def test_html_instead_of_json(serve: Serve, fault: Fault, status: int) -> None:
    """The page of a proxy, and a login page that claims success."""
    client = await serve_fault(serve, fault)
    found, headers, body = parts(await raw(client))
    assert (found, headers["Content-Type"]) == (status, "text/html")
    assert b"<html>" in body
    await assert_recovered(client, fault)


async def test_a_reset_before_the_first_byte(serve: Serve) -> None:
    """Nothing but a RST."""
    client = await serve_fault(serve, Fault.RESET_BEFORE)
    assert await raw(client) == b"<reset>"
    await assert_recovered(client, Fault.RESET_BEFORE)


async def test_a_reset_in_the_middle_of_the_body(serve: Serve) -> None:
    """Headers that promise the whole, at most half a body, and a RST."""
    client = await serve_fault(serve, Fault.RESET_MIDWAY)
    answer = await raw(client)
    status, headers, body = parts(answer.removesuffix(b"<reset>"))
    assert answer.endswith(b"<reset>")
    assert status == 200
    assert len(body) <= int(headers["Content-Length"]) // 2
    await assert_recovered(client, Fault.RESET_MIDWAY)


async def test_a_slow_drip_is_the_right_answer_in_pieces(serve: Serve) -> None:
    """Whoever waits gets the page."""
    client = await serve_fault(serve, Fault.SLOW_DRIP, slow_drip_seconds=0.05)
    dripped = parts(await raw(client))[2]
    assert dripped == parts(await raw(client))[2]
    assert client.api.stats.faults == {"slow_drip": 1}


async def test_truncated_json_is_half_a_body_that_claims_to_be_whole(serve: Serve) -> None:
    """Content-Length agrees, the parser does not."""
    client = await serve_fault(serve, Fault.TRUNCATED_JSON)
    status, headers, body = parts(await raw(client))
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(body)
    await assert_recovered(client, Fault.TRUNCATED_JSON)


async def test_malformed_json_has_all_records_and_a_comma_too_many(serve: Serve) -> None:
    """Nothing of it may be stored."""
    client = await serve_fault(serve, Fault.MALFORMED_JSON)
    status, _, body = parts(await raw(client))
    assert (status, body[-3:]) == (200, b"},}")
    with pytest.raises(ValueError, match=r"trailing comma|property name"):
        json.loads(body)
    await assert_recovered(client, Fault.MALFORMED_JSON)


@pytest.mark.parametrize("stream", ["posts", "comments"])
async def test_an_empty_page_has_a_cursor_that_leads_to_the_records(serve: Serve, stream: str) -> None:
    """A short page is not the end. Two first tries in a row are two empty pages."""
    client = await serve_fault(serve, Fault.EMPTY_PAGE)
    user = reader(client)
    first = await client.page(user, stream)
    second = await client.page(user, stream, client.next_cursor(stream, first))
    cursor = client.next_cursor(stream, second)
    assert (first["data"], second["data"]) == ([], [])
    assert cursor not in (None, client.next_cursor(stream, first))
    await client.page(user, stream, cursor)
    records = (await client.page(user, stream, cursor))["data"]
    assert records == (await client.page(user, stream))["data"]


@pytest.mark.parametrize("stream", ["posts", "comments"])
async def test_a_repeated_page_names_itself_once(serve: Serve, stream: str) -> None:
    """The same records twice, the same cursor twice, and then on."""
    client = await serve_fault(serve, Fault.REPEATED_PAGE)
    user = reader(client)
    first = await client.page(user, stream)
    again = await client.page(user, stream, client.next_cursor(stream, first))
    assert first["data"] == again["data"]
    cursor = client.next_cursor(stream, again)
    second = await client.page(user, stream, cursor)
    assert client.next_cursor(stream, second) == cursor
    onward = await client.page(user, stream, cursor)
    assert onward["data"] == second["data"]
    assert client.next_cursor(stream, onward) != cursor


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW_DRIP])
async def test_what_a_client_cannot_keep_does_not_count_as_shown(serve: Serve, fault: Fault) -> None:
    """Only a page of records does."""
    client = await serve_fault(serve, fault)
    await raw(client)
    shown = client.api.catalogue.streams[reader(client), "posts"].shown
    assert len(shown) == (100 if fault is Fault.REPEATED_PAGE else 0)


async def test_a_client_that_retries_reads_everything_under_the_default_faults(serve: Serve) -> None:
    """However often it has to ask: what it kept is what is there, in the latest version."""
    rates = dict.fromkeys((fault.value for fault in Fault), 0.04) | {"moved_record": 0.5}
    faults = Faults(rates=rates, slow_drip_seconds=0.01)
    client = await serve(Options(users=6, user_rate=0, app_rate=0, faults=faults))
    user = reader(client)
    kept, cursor, more = {}, "", True
    while more:
        try:
            _, body, _ = await client.get(user, "/v1/me/comments", limit=20, cursor=cursor)
        except (aiohttp.ClientError, ValueError):
            continue
        if "error" not in body:
            kept.update({record["id"]: record["version"] for record in body["data"]})
            cursor = body["next_cursor"]
            more = cursor is not None
    assert kept == client.api.catalogue.streams[user, "comments"].latest_versions()
    assert client.api.stats.faults.total() > 3

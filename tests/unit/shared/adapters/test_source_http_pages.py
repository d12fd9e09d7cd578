"""Whole walks over pages of a real HTTP server: what the file says, what goes over the wire, what comes of it."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from shared.errors import SourceError
from shared.pipeline.auth import attachment
from shared.pipeline.loader import load_text
from shared.pipeline.requests import page_request
from shared.pipeline.responses import read_page
from tests.unit.shared.adapters.conftest import Called

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECORDS = [{"id": number} for number in range(1, 8)]
SIZE = 3

Answer = Callable[[web.Request], Awaitable[web.Response]]


def page_from(start: int) -> tuple[list[dict[str, int]], int | None]:
    following = start + SIZE
    return RECORDS[start:following], following if following < len(RECORDS) else None


async def by_body(request: web.Request) -> web.Response:
    asked = await request.json()
    assert (request.method, asked["sort"], asked["page"]["size"]) == ("POST", "id", SIZE)
    records, following = page_from(int(asked["page"].get("after", "0")))
    return web.json_response({"data": records, "next": None if following is None else str(following)})


async def by_form(request: web.Request) -> web.Response:
    asked = parse_qs(await request.text())
    records, following = page_from(int(asked["offset"][0]))
    return web.json_response({"data": records, "more": following is not None})


async def by_header(request: web.Request) -> web.Response:
    records, following = page_from(int(request.headers.get("X-Continuation", "0")))
    return web.json_response({"data": records}, headers={} if following is None else {"X-Continuation": str(following)})


async def by_next_page(request: web.Request) -> web.Response:
    records, following = page_from(int(request.query.get("_token", "0")))
    return web.json_response(
        {"data": records}, headers={} if following is None else {"Next-Page": f"?_token={following}"}
    )


async def by_object(request: web.Request) -> web.Response:
    assert request.query["list"] == "all"
    records, following = page_from(int(request.query.get("from", "0")))
    more = {} if following is None else {"continue": {"from": following, "size": SIZE}}
    return web.json_response({"data": records, **more})


async def by_last_record(request: web.Request) -> web.Response:
    records, following = page_from(int(request.query.get("after", "0")))
    return web.json_response({"data": records, "has_more": following is not None})


async def by_page_in_body(request: web.Request) -> web.Response:
    records, _ = page_from((json.loads(await request.read())["page"] - 1) * SIZE)
    return web.json_response({"data": records})


@pytest.mark.parametrize(
    ("stream", "answer"),
    [
        (
            "method: post, json: { sort: id }, page_size: { param: page.size, value: 3, location: body }, "
            "paginator: { type: cursor, cursor_path: next, cursor_body_path: page.after }",
            by_body,
        ),
        (
            "method: post, form: { sort: id }, paginator: { type: offset, offset_body_path: offset, "
            "limit: 3, stop_when: { path: more, value: false } }",
            by_form,
        ),
        (
            "paginator: { type: cursor, cursor_header: x-continuation, cursor_request_header: X-Continuation }",
            by_header,
        ),
        ("paginator: { type: header_link, next_url_header: Next-Page }", by_next_page),
        ("query: { list: all }, paginator: { type: next_query, next_query_path: continue }", by_object),
        (
            "paginator: { type: cursor, cursor_record_path: id, cursor_param: after, "
            "stop_when: { path: has_more, value: false } }",
            by_last_record,
        ),
        ("method: post, paginator: { type: page_number, page_body_path: page }", by_page_in_body),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_every_record_is_met_once_and_with_the_credential(called: Called, stream: str, answer: Answer):
    called.source.answers["/orders"] = answer
    records = await walked(called, stream)
    assert records == RECORDS
    assert {request.headers.get("Authorization") for request in called.source.requests} == {"Bearer canary-token"}


RULES = (
    "responses: [{ status: 404, means: end_of_data }, { status: 410, means: cursor_expired }, "
    "{ header: { name: X-Slow-Down, exists: true }, means: rate_limited, "
    "wait: { header: x-slow-down, unit: minutes } }, "
    "{ body: { path: error.kind, value: busy }, means: temporary, wait: { path: error.ms, unit: milliseconds } }]"
)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "wait"),
    [
        (410, {}, {}, "cursor_expired", None),
        (200, {"X-SLOW-DOWN": "2"}, {"data": []}, "rate_limited", 120.0),
        (200, {}, {"error": {"kind": "busy", "ms": 1500}}, "temporary", 1.5),
        (403, {"X-App-Usage": '{"call_count": 100, "estimated_time_to_regain_access": 1}'}, {}, "rate_limited", 60.0),
        (429, {"Backoff": "7"}, {}, "rate_limited", 7.0),
    ],
)
async def test_a_failure_is_what_the_file_calls_it(
    called: Called, status: int, headers: dict[str, str], body: object, kind: str, wait: float | None
):
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    called.source.answers["/orders"] = answer
    with pytest.raises(SourceError) as failed:
        await walked(called, f"paginator: {{ type: single_page }}, {RULES}")
    assert (failed.value.kind, failed.value.retry_after) == (kind, wait)


async def test_a_page_behind_the_last_is_the_end_where_the_file_says_so(called: Called):
    async def answer(request: web.Request) -> web.Response:
        records, _ = page_from((int(request.query["page"]) - 1) * SIZE)
        return web.json_response({"data": records}) if records else web.Response(status=404, text="no such page")

    called.source.answers["/orders"] = answer
    assert await walked(called, f"paginator: {{ type: page_number }}, {RULES}") == RECORDS


async def walked(called: Called, stream: str) -> list[dict[str, Any]]:
    """The records of all pages of a stream with these options."""
    pipeline = load_text(
        "pipeline: p\nsource:\n"
        f'  base_url: "{called.source.base}"\n'
        '  auth: { type: bearer, token: "{credentials.token}" }\n'
        f"streams: [{{ name: orders, path: /orders, records: data, {stream} }}]",
        "p.yaml",
    )
    scopes = {"user": {"id": "ann"}, "params": {}, "credentials": {"token": "canary-token"}}
    cursor, records = None, []
    for number in range(len(RECORDS) + 1):
        if number and cursor is None:
            return records
        request = page_request(pipeline, pipeline.streams[0], cursor, scopes)
        response = await called.http.fetch("ann", request, attachment(pipeline, scopes))
        page = read_page(pipeline.streams[0], cursor, response, NOW)
        records += page.records
        cursor = page.cursor
    raise AssertionError(f"no end after {number} pages")

"""Rules of a pipeline file for what a response means."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    CursorExpired,
    InvalidCredential,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.responses import Response, read_page
from shared.pipeline.spec import Pipeline, Stream
from shared.pipeline.waits import MAX_WAIT
from tests.unit.shared.pipeline.test_responses import CURSOR, NOW, failure, response

MakeStream = Callable[..., Stream]


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


MEANT = {
    "rate_limited": RateLimited,
    "temporary": TemporaryFailure,
    "invalid_credential": InvalidCredential,
    "rejected": RequestRejected,
    "cursor_expired": CursorExpired,
    "malformed": MalformedResponse,
}


@pytest.mark.parametrize("means", MEANT)
@pytest.mark.parametrize("status", [200, 302, 401, 410, 500])
def test_a_rule_says_what_a_failure_means(make_stream: MakeStream, means: str, status: int):
    """Whatever the status and the body's own error say."""
    stream = make_stream(CURSOR, records="data", responses=[{"status": status, "means": means}])
    error = failure(stream, response({"data": [{"id": 1}], "error": {"code": 190}}, status))
    assert type(error) is MEANT[means]
    assert str(error) == f"the pipeline file calls it {means}: status {status}"


def test_a_rule_may_say_that_a_failure_is_a_page(make_stream: MakeStream):
    stream = make_stream(CURSOR, records="data", error_path="errors", responses=[PARTIAL])
    page = read_page(stream, None, response({"data": [{"id": 1}], "errors": ["one is hidden"], "next": "c"}, 207), NOW)
    assert (page.records, page.cursor) == ([{"id": 1}], "c")
    assert type(failure(stream, response({"errors": ["all are hidden"]}))) is TemporaryFailure


PARTIAL = {"status": "2xx", "body": {"path": "data[0]", "exists": True}, "means": "page"}


def test_what_a_rule_calls_a_page_must_still_be_one(make_stream: MakeStream):
    stream = make_stream(CURSOR, records="data", responses=[{"status": 404, "means": "page"}])
    assert type(failure(stream, response({"items": []}, 404))) is MalformedResponse
    assert type(failure(stream, response(b"<html>", 404))) is MalformedResponse


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": [{"id": 1}], "next": "c"}'])
def test_a_rule_may_say_that_there_is_no_more(make_stream: MakeStream, body: bytes):
    stream = make_stream(CURSOR, records="data", responses=[{"status": [204, 404], "means": "end_of_data"}])
    page = read_page(stream, "c", response(body, 404), NOW)
    assert (page.records, page.cursor) == ([], None)


@pytest.mark.parametrize(
    ("rule", "answer", "fits"),
    [
        ({"status": 418}, response({}, 418), True),
        ({"status": 418}, response({}, 419), False),
        ({"status": [500, "4xx"]}, response({}, 418), True),
        ({"status": [500, "4xx"]}, response({}, 500), True),
        ({"status": [500, "4xx"]}, response({}, 501), False),
        ({"header": {"name": "X-State", "value": "gone"}}, response({}, 418, x_state="gone"), True),
        ({"header": {"name": "X-State", "value": "gone"}}, response({}, 418, x_state="going"), False),
        ({"header": {"name": "X-State", "regex": "^go"}}, response({}, 418, x_state="gone"), True),
        ({"header": {"name": "X-State", "regex": "^go"}}, response({}, 418), False),
        ({"header": {"name": "X-State", "exists": True}}, response({}, 418, x_state=""), True),
        ({"header": {"name": "X-State", "exists": False}}, response({}, 418), True),
        ({"header": {"name": "X-State", "exists": False}}, response({}, 418, x_state="a"), False),
        ({"body": {"path": "e.code", "value": 7}}, response({"e": {"code": 7}}, 418), True),
        ({"body": {"path": "e.code", "value": 1}}, response({"e": {"code": True}}, 418), False),
        ({"body": {"path": "e.code", "value": "7"}}, response({"e": {"code": 7}}, 418), False),
        ({"body": {"path": "e.code", "value": None}}, response({"e": {}}, 418), True),
        ({"body": {"path": "e.code", "regex": "^7"}}, response({"e": {"code": 77}}, 418), True),
        ({"body": {"path": "e.code", "regex": "expired"}}, response({"e": {"code": "it expired"}}, 418), True),
        ({"body": {"path": "e.code", "regex": "."}}, response({"e": {"code": {}}}, 418), False),
        ({"body": {"path": "e", "exists": True}}, response({"e": 0}, 418), True),
        ({"body": {"path": "e", "exists": True}}, response({"e": None}, 418), False),
        ({"body": {"path": "e", "exists": True}}, response(b"<html>", 418), False),
        ({"body": {"path": "sort_by(e, &a)", "exists": True}}, response({"e": [{"a": 1}, {"a": "b"}]}, 418), False),
        ({"status": 418, "body": {"path": "e", "exists": True}}, response({"e": 1}, 418), True),
        ({"status": 418, "body": {"path": "e", "exists": True}}, response({"e": 1}, 419), False),
        ({"status": 418, "body": {"path": "e", "exists": True}}, response({}, 418), False),
    ],
)
def test_a_rule_fits_a_response_that_has_all_it_names(
    make_stream: MakeStream, rule: dict[str, object], answer: Response, fits: bool
):
    stream = make_stream(CURSOR, records="data", responses=[{**rule, "means": "cursor_expired"}])
    assert (type(failure(stream, answer)) is CursorExpired) is fits


def test_the_first_rule_that_fits_counts_and_those_of_the_stream_come_first(make_pipeline: Callable[..., Pipeline]):
    def rule(status: object, means: str) -> dict[str, object]:
        return {"status": status, "means": means}

    pipeline = make_pipeline(
        source={"responses": [rule(404, "cursor_expired"), rule(410, "cursor_expired")]},
        responses=[rule("5xx", "rejected"), rule(404, "malformed"), rule(500, "rate_limited")],
    )
    found = []
    for status in (404, 410, 500, 429):
        with pytest.raises(SourceError) as failed:
            read_page(pipeline.streams[0], None, response({}, status), NOW, pipeline.source.responses)
        found.append(failed.value.kind)
    assert found == ["malformed", "cursor_expired", "rejected", "rate_limited"]


@pytest.mark.parametrize(
    ("wait", "body", "headers", "seconds"),
    [
        ({"header": "X-Wait"}, {}, {"x_wait": "12"}, 12.0),
        ({"header": "X-Wait", "unit": "milliseconds"}, {}, {"x_wait": "1500"}, 1.5),
        ({"header": "X-Wait", "unit": "minutes"}, {}, {"x_wait": "2"}, 120.0),
        ({"header": "X-Wait", "unit": "epoch"}, {}, {"x_wait": str(int(NOW.timestamp()) + 45)}, 45.0),
        ({"header": "X-Wait", "unit": "http_date"}, {}, {"x_wait": "Sun, 22 Nov 2026 12:01:30 GMT"}, 90.0),
        ({"path": "error.wait_ms", "unit": "milliseconds"}, {"error": {"wait_ms": 2500}}, {}, 2.5),
        ({"path": "wait"}, {"wait": "3"}, {}, 3.0),
        ({"path": "wait"}, {"wait": 1e9}, {}, MAX_WAIT),
        # not asked: back-off takes over, and other headers don't count
        ({"header": "X-Wait"}, {}, {"retry_after": "5"}, None),
        ({"header": "X-Wait"}, {}, {"x_wait": "soon"}, None),
        ({"header": "X-Wait", "unit": "epoch"}, {}, {"x_wait": "45"}, None),
        ({"header": "X-Wait", "unit": "http_date"}, {}, {"x_wait": "45"}, None),
        ({"path": "wait"}, {"wait": True}, {}, None),
        ({"path": "wait"}, {"wait": [1]}, {}, None),
        ({"path": "wait", "unit": "http_date"}, {"wait": 7}, {}, None),
        ({"path": "wait"}, {"wait": -1}, {}, None),
        ({"path": "wait"}, {"wait": 10**400}, {}, None),
        ({"path": "sort_by(wait, &a)"}, {"wait": [{"a": 1}, {"a": "b"}]}, {}, None),
        (None, {}, {"retry_after": "5"}, 5.0),
    ],
)
@pytest.mark.parametrize("means", ["rate_limited", "temporary"])
def test_a_rule_says_where_the_wait_stands(
    make_stream: MakeStream, means: str, wait: object, body: object, headers: dict[str, str], seconds: float | None
):
    rule = {"status": 420, "means": means} | ({"wait": wait} if wait else {})
    error = failure(make_stream(CURSOR, responses=[rule]), response(body, 420, **headers))
    assert error.retry_after == (seconds if seconds is None else pytest.approx(seconds))


def test_a_body_that_is_not_json_has_no_wait(make_stream: MakeStream):
    rule = {"status": 429, "means": "rate_limited", "wait": {"path": "wait"}}
    assert failure(make_stream(CURSOR, responses=[rule]), response(b"<html>", 429)).retry_after is None


@given(
    st.integers(100, 599),
    st.binary(max_size=30) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(as_json),
    st.text(max_size=20),
    st.sampled_from(["seconds", "milliseconds", "minutes", "epoch", "http_date"]),
)
def test_any_response_is_read_under_any_rule(make_stream: MakeStream, status: int, body: bytes, said: str, unit: str):
    rules = [
        {"body": {"path": "@", "regex": "a"}, "means": "temporary", "wait": {"path": "@", "unit": unit}},
        {"header": {"name": "x", "regex": "."}, "means": "rate_limited", "wait": {"header": "x", "unit": unit}},
    ]
    stream = make_stream(CURSOR, responses=rules)
    try:
        read_page(stream, None, Response(status, {"x": said, "x-app-usage": said}, body), NOW)
    except SourceError as error:
        assert error.retry_after is None or 0 < error.retry_after <= MAX_WAIT  # noqa: PT017 - both ways are right


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"backoff": "30"}, 30),
        ({"backoff": "0"}, None),
        ({"backoff": "-5"}, None),
        ({"backoff": "soon"}, None),
        ({"backoff": "1e9"}, MAX_WAIT),
        ({"retry-after": "30", "x-ratelimit-reset": "1900000000"}, None),
    ],
)
def test_behind_a_page_a_source_may_ask_for_a_wait(
    make_stream: MakeStream, headers: dict[str, str], wait: float | None
):
    """With the header for it; what says how long a failure lasts says nothing behind a page."""
    answered = Response(200, headers, as_json({"data": [{"id": 1}], "next": "c"}))
    page = read_page(make_stream(CURSOR, records="data"), None, answered, NOW)
    assert (page.cursor, page.wait) == ("c", wait)


def test_a_rule_may_say_where_a_page_asks_for_a_wait(make_stream: MakeStream):
    """Then nothing else counts."""
    rule = {"status": 200, "means": "page", "wait": {"header": "X-Pause", "unit": "milliseconds"}}
    stream = make_stream(CURSOR, records="data", responses=[rule])
    for headers, wait in (({"x-pause": "2500", "backoff": "9"}, 2.5), ({"backoff": "9"}, None)):
        answered = Response(200, headers, as_json({"data": [{"id": 1}], "next": "c"}))
        assert read_page(stream, None, answered, NOW).wait == wait

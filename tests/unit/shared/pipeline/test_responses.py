"""What a response means: every class of status and body, and every way to say «wait»."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    InvalidCredential,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.responses import MAX_RECORDS, Response, read_page
from shared.pipeline.spec import Stream

MakeStream = Callable[..., Stream]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CURSOR = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}


@pytest.fixture(scope="session")
def stream(make_stream: MakeStream) -> Stream:
    return make_stream(CURSOR, records="data")


def response(body: object = None, status: int = 200, **headers: str) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def failure(stream: Stream, answer: Response) -> SourceError:
    with pytest.raises(SourceError) as failed:
        read_page(stream, None, answer, NOW)
    return failed.value


def test_a_page_is_its_records_and_the_next_cursor(stream: Stream):
    page = read_page(stream, None, response({"data": [{"id": 1}], "next": "c"}), NOW)
    assert (page.records, page.cursor) == ([{"id": 1}], "c")


@pytest.mark.parametrize("status", [200, 201, 206])
def test_every_success_is_one(stream: Stream, status: int):
    assert read_page(stream, None, response({"data": []}, status), NOW).records == []


@pytest.mark.parametrize(
    ("records", "body", "found"),
    [
        (None, [{"id": 1}], [{"id": 1}]),
        ("a.b", {"a": {"b": [{"id": 1}]}}, [{"id": 1}]),
        ("items[].order", {"items": [{"order": {"id": 1}}]}, [{"id": 1}]),
        ("data", {"data": [1, None, "x"]}, [{"value": 1}, {"value": None}, {"value": "x"}]),
    ],
)
def test_records_are_found_where_the_file_says(make_stream: MakeStream, records: str, body: object, found: object):
    stream = make_stream({"type": "single_page"}, records=records)
    assert read_page(stream, None, response(body), NOW).records == found


@pytest.mark.parametrize("text", ['{"id": 9007199254740993}', '{"id": "\\ud800"}', '{"id": "\\u0000"}'])
def test_odd_values_are_kept_as_they_are(stream: Stream, text: str):
    """Beyond 53 bits, half a surrogate pair, NUL."""
    page = read_page(stream, None, response(b'{"data": [' + text.encode() + b"]}"), NOW)
    assert page.records == [json.loads(text)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "status 200 with 0 bytes of text/html that are not JSON"),
        (b"<html>log in</html>", "status 200 with 19 bytes of text/html that are not JSON"),
        (b'{"data": [{"id": 1}, {"id"', "that are not JSON"),
        (b'{"data": [NaN]}', "that are not JSON"),
        (b'{"data": [Infinity]}', "that are not JSON"),
        (b'{"data": ' + b"[" * 100_000, "that are not JSON"),
        (b'{"data": [' + b"9" * 10_000 + b"]}", "that are not JSON"),
        (b"\xff\xfe\xfa", "that are not JSON"),
        (gzip.compress(b"{}", mtime=0), "that are not JSON"),
        (b"null", "data: found NoneType, allowed: a list of records"),
        (b"{}", "data: found NoneType, allowed: a list of records"),
        (b'{"data": {"id": 1}}', "data: found dict, allowed: a list of records"),
        (b'{"data": "x"}', "data: found str, allowed: a list of records"),
        (json.dumps({"data": [1] * (MAX_RECORDS + 1)}).encode(), f"data: found {MAX_RECORDS + 1} records, allowed: "),
        (b'{"data": [], "next": {}}', "next: found dict, allowed: text or a number"),
    ],
)
def test_a_broken_body_is_malformed_and_never_half_read(stream: Stream, body: bytes, said: str):
    error = failure(stream, response(body, content_type="text/html; charset=utf-8"))
    assert type(error) is MalformedResponse
    assert said in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        # by status
        (response({}, 400), RequestRejected),
        (response({}, 404), RequestRejected),
        (response({}, 410), RequestRejected),
        (response({}, 301, location="https://evil.example"), RequestRejected),
        (response({}, 304), RequestRejected),
        (response({}, 401), InvalidCredential),
        (response({}, 403), InvalidCredential),
        (response({}, 429), RateLimited),
        (response({}, 403, retry_after="10"), RateLimited),
        (response({}, 403, x_ratelimit_remaining="0"), RateLimited),
        (response({}, 403, x_rate_limit_remaining="0"), RateLimited),
        (response({}, 403, ratelimit_remaining="0"), RateLimited),
        (response({}, 403, x_ratelimit_remaining="7"), InvalidCredential),
        (response({}, 408), TemporaryFailure),
        (response({}, 425), TemporaryFailure),
        (response({}, 500), TemporaryFailure),
        (response({}, 503, retry_after="10"), TemporaryFailure),
        (response({}, 599), TemporaryFailure),
        # by the code in the body, whatever the status says
        (response({"error": {"code": 4}}, 400), RateLimited),
        (response({"error": {"code": 17}}, 403), RateLimited),
        (response({"error": {"code": 32}}, 200), RateLimited),
        (response({"error": {"code": 613}}, 400), RateLimited),
        (response({"error": {"code": 80_004}}, 400), RateLimited),
        (response({"error": {"code": 190}}, 400), InvalidCredential),
        (response({"error": {"code": 190}}, 200), InvalidCredential),
        (response({"error": {"code": 102}}, 400), InvalidCredential),
        (response({"error": {"code": 1}}, 400), TemporaryFailure),
        (response({"error": {"code": 2}}, 200), TemporaryFailure),
        (response({"error": {"code": 100}}, 400), RequestRejected),
        # an error inside a success
        (response({"error": {"code": "nope"}}), TemporaryFailure),
        (response({"error": "try again"}), TemporaryFailure),
        (response({"error": {"code": ["x"]}}), TemporaryFailure),
        (response({"error": {"code": {"a": 1}}}, 500), TemporaryFailure),
        (response({"error": {"code": True}}, 400), RequestRejected),
        # a body that says nothing
        (response(b"<html>", 401), InvalidCredential),
        (response(b"", 429), RateLimited),
        (response(b"\xff", 500), TemporaryFailure),
        (response([1], 400), RequestRejected),
    ],
)
def test_a_failure_is_classified(stream: Stream, answer: Response, kind: type[SourceError]):
    assert type(failure(stream, answer)) is kind


def test_an_error_beside_records_is_no_failure(stream: Stream):
    """Partial errors are the API's own affair where the records are there."""
    page = read_page(stream, None, response({"data": [{"id": 1}], "error": {"code": 190}}), NOW)
    assert page.records == [{"id": 1}]


def test_the_file_says_where_errors_are(make_stream: MakeStream):
    stream = make_stream(CURSOR, records="data", error_path="problems[0]")
    answer = response({"data": [], "problems": [{"code": 190}]})
    assert type(failure(stream, answer)) is InvalidCredential
    assert read_page(stream, None, response({"data": [], "problems": []}), NOW).records == []


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_an_error_path_that_does_not_fit_the_body_is_no_crash(make_stream: MakeStream, status: int):
    stream = make_stream(CURSOR, records="data", error_path="sort_by(problems, &id)")
    assert failure(stream, response({"data": [], "problems": [{"id": 1}, {"id": "x"}]}, status))


def test_records_that_do_not_fit_a_function_are_malformed(make_stream: MakeStream):
    stream = make_stream({"type": "single_page"}, records="sort_by(data, &id)")
    assert type(failure(stream, response({"data": [{"id": 1}, {"id": "x"}]}))) is MalformedResponse


def test_nothing_of_a_body_but_a_short_code_is_told(stream: Stream):
    """An error is logged and stored; sources echo tokens in their messages."""
    error = failure(stream, response({"error": {"code": "E\ud800" * 500, "message": "canary"}}, 400))
    assert "canary" not in str(error)
    assert len(str(error)) < 800
    assert str(error).isascii()


@given(st.integers(100, 599), st.binary(max_size=50) | st.from_regex(rb'\{"error": ?\{"code": ?[^}]{0,9}\}\}'))
def test_any_response_is_a_page_or_a_classified_failure(stream: Stream, status: int, body: bytes):
    try:
        read_page(stream, None, Response(status, {}, body), NOW)
    except SourceError as error:
        assert error.kind in {"malformed", "rate_limited", "invalid_credential", "temporary", "rejected"}  # noqa: PT017 - both ways are right


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"new": [{"id": 1}], "old": [{"id": 2}, 3]}, [{"id": 1}, {"id": 2}, {"value": 3}]),
        ({"new": [], "old": [{"id": 2}]}, [{"id": 2}]),
        ({"old": [{"id": 2}]}, [{"id": 2}]),
        ({"new": None, "old": []}, []),
    ],
)
def test_records_of_several_paths_come_one_after_the_other(make_stream: MakeStream, body: object, found: object):
    stream = make_stream({"type": "single_page"}, records=["new", "old"])
    assert read_page(stream, None, response(body), NOW).records == found


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "new: found NoneType, allowed: a list of records"),
        ({"new": [1], "old": {}}, "old: found dict, allowed: a list of records"),
        (
            {"new": [1] * MAX_RECORDS, "old": [1]},
            f"new, old: found {MAX_RECORDS + 1} records, allowed: {MAX_RECORDS} a page",
        ),
    ],
)
def test_several_paths_are_never_half_read(make_stream: MakeStream, body: object, said: str):
    assert str(failure(make_stream({"type": "single_page"}, records=["new", "old"]), response(body))) == said


def test_the_last_record_of_all_paths_names_the_cursor(make_stream: MakeStream):
    paginator = {"type": "cursor", "cursor_record_path": "id", "cursor_param": "after"}
    stream = make_stream(paginator, records=["a", "b"])
    assert read_page(stream, None, response({"a": [{"id": 9}], "b": [{"id": 2}]}), NOW).cursor == "2"


@pytest.mark.parametrize("depth", [100, 400])
def test_a_body_may_be_deep(stream: Stream, depth: int):
    body = b'{"data": [' + b'{"a":' * depth + b"1" + b"}" * depth + b"]}"
    assert len(read_page(stream, None, response(body), NOW).records) == 1


def test_a_body_that_is_too_deep_is_malformed_and_no_crash(stream: Stream):
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"0}")):
        body = b'{"data": [' + opening * 200_000 + closing * 200_000 + b"]}"
        assert type(failure(stream, response(body))) is MalformedResponse


USAGE = {"call_count": 100, "total_time": 7, "total_cputime": 1}


def test_a_quota_that_is_used_up_is_throttling_and_not_a_refused_credential(stream: Stream):
    used = {"17": [USAGE | {"estimated_time_to_regain_access": 3}]}
    error = failure(stream, response({}, 403, x_business_use_case_usage=json.dumps(used)))
    assert (type(error), error.retry_after) == (RateLimited, 180.0)
    half = json.dumps(USAGE | {"call_count": 99})
    assert type(failure(stream, response({}, 403, x_app_usage=half))) is InvalidCredential


def test_a_failure_carries_the_wait_that_was_asked_for(stream: Stream):
    assert failure(stream, response({}, 429, retry_after="7")).retry_after == 7.0
    assert failure(stream, response({}, 503, retry_after="7")).retry_after == 7.0
    assert failure(stream, response({}, 429, x_ratelimit_reset="9")).retry_after == 9.0
    assert failure(stream, response({}, 500)).retry_after is None

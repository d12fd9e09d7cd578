"""How long a source wants to be left alone, in every way to say it."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pipeline.waits import MAX_WAIT, retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USAGE = {"call_count": 100, "total_time": 7, "total_cputime": 1}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("0.001", 0.001),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        ("Sun, 22 Nov 2026 12:01:30 -0000", 90.0),
        ("Sun, 22 Nov 2026 13:01:30 +0100", 90.0),
        # now, or no answer at all: back-off takes over
        ("0", None),
        ("-5", None),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("Sun, 99 Nov 2026 99:99:99 GMT", None),
        # absurd
        ("31536000", MAX_WAIT),
        ("1e300", MAX_WAIT),
        ("inf", MAX_WAIT),
        ("Sun, 22 Nov 2099 12:00:00 GMT", MAX_WAIT),
    ],
)
def test_retry_after_is_understood_in_every_form(value: str, seconds: float | None):
    assert retry_after({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("x-rate-limit-reset", str(int(NOW.timestamp()) + 40), 40.0),
        ("x-ratelimit-reset", str((int(NOW.timestamp()) + 40) * 1000), 40.0),
        ("x-ratelimit-reset", (NOW + timedelta(seconds=40)).isoformat(), 40.0),
        ("ratelimit-reset", "40", 40.0),
        ("x-ratelimit-reset-after", "1.25", 1.25),
        ("ratelimit-reset", "soon", None),
    ],
)
def test_the_moment_of_a_reset_is_read_however_it_is_spelt(name: str, value: str, seconds: float | None):
    assert retry_after({name: value}, NOW) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (str(int(NOW.timestamp()) + 45), 45.0),
        ("45", 45.0),
        (str(int(NOW.timestamp()) - 45), None),
        ("0", None),
        ("later", None),
        ("nan", None),
        ("99999999999999", MAX_WAIT),
    ],
)
def test_a_reset_moment_or_span_counts_where_retry_after_is_absent(reset: str, seconds: float | None):
    assert retry_after({"x-ratelimit-reset": reset}, NOW) == seconds


def test_retry_after_counts_more_than_the_reset():
    assert retry_after({"retry-after": "5", "x-ratelimit-reset": "60"}, NOW) == 5.0


def test_without_either_nothing_was_asked_for():
    assert retry_after({}, NOW) is None


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_header_is_a_wait_within_bounds_or_none(value: str, reset: str):
    wait = retry_after({"retry-after": value, "x-ratelimit-reset": reset}, NOW)
    assert wait is None or 0 < wait <= MAX_WAIT


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [
        (USAGE | {"estimated_time_to_regain_access": 3}, 180.0),
        ({"17": [USAGE | {"estimated_time_to_regain_access": 3}, {"estimated_time_to_regain_access": 5}]}, 300.0),
        ({"17": [{"estimated_time_to_regain_access": 0}], "18": [{"estimated_time_to_regain_access": 2}]}, 120.0),
        ({"17": [{"estimated_time_to_regain_access": 10**6}]}, MAX_WAIT),
        ({"17": [{"estimated_time_to_regain_access": 0}]}, None),
        ({"17": [{"estimated_time_to_regain_access": "soon"}]}, None),
        (USAGE, None),
        ([[[[[{"estimated_time_to_regain_access": 3}]]]]], None),
        (None, None),
        ("x", None),
    ],
)
@pytest.mark.parametrize("header", ["x-app-usage", "x-business-use-case-usage"])
def test_the_usage_of_a_quota_says_when_there_is_some_again(header: str, usage: object, seconds: float | None):
    assert retry_after({header: json.dumps(usage)}, NOW) == seconds


@pytest.mark.parametrize("header", ["", "{", "[" * 10_000, "9" * 5000])
def test_usage_that_is_not_json_says_nothing(header: str):
    assert retry_after({"x-app-usage": header}, NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"backoff": "30"}, 30.0),
        ({"backoff": "0"}, None),
        ({"backoff": "soon"}, None),
        ({"backoff": "30", "retry-after": "5"}, 5.0),
        ({"backoff": "30", "x-ratelimit-reset": "7"}, 7.0),
    ],
)
def test_backoff_counts_where_nothing_more_usual_is_said(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers, NOW) == seconds

"""Requests per second, per user and for the app."""

import json

import pytest

from devtools.demo_api.graph_errors import GraphError
from devtools.demo_api.limits import Bucket, Limits

NOW = 1_800_000_000.0


def error_of(refused: pytest.ExceptionInfo[GraphError]) -> dict[str, object]:
    return json.loads(refused.value.body)["error"]


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    """Two seconds' worth at once, then one every 1/rate seconds."""
    bucket = Bucket(rate=5)
    for _ in range(10):
        assert bucket.wait(NOW) == 0
        bucket.take(NOW)
    assert bucket.wait(NOW) == pytest.approx(0.2, abs=1e-6)
    assert bucket.wait(NOW + 0.21) == 0
    assert (bucket.remaining(NOW), bucket.remaining(NOW + 1.01), bucket.remaining(NOW + 60)) == (0, 5, 10)


def test_a_user_who_is_too_fast_gets_code_17_and_hurts_nobody_else() -> None:
    """With a Retry-After of whole seconds; another user is still admitted."""
    limits = Limits(user_rate=1, app_rate=0)
    limits.admit("u001", NOW)
    limits.admit("u001", NOW)
    with pytest.raises(GraphError) as refused:
        limits.admit("u001", NOW)
    assert (refused.value.status, error_of(refused)["code"]) == (429, 17)
    assert refused.value.headers["Retry-After"] == "1"
    assert refused.value.headers["X-RateLimit-Remaining"] == "0"
    limits.admit("u002", NOW)


def test_all_users_together_get_code_4() -> None:
    """The app's limit holds whoever calls."""
    limits = Limits(user_rate=0, app_rate=1)
    limits.admit("u001", NOW)
    limits.admit("u002", NOW)
    with pytest.raises(GraphError) as refused:
        limits.admit("u003", NOW)
    assert (refused.value.status, error_of(refused)["code"]) == (429, 4)
    assert json.loads(refused.value.headers["X-App-Usage"])["call_count"] == 100


def test_a_refused_request_is_not_counted() -> None:
    """Whoever waits as told is admitted, however often they asked before."""
    limits = Limits(user_rate=1, app_rate=0)
    limits.admit("u001", NOW)
    limits.admit("u001", NOW)
    for _ in range(20):
        with pytest.raises(GraphError):
            limits.admit("u001", NOW)
    limits.admit("u001", NOW + 1.01)


def test_the_headers_tell_what_is_left() -> None:
    """Limit, remaining, reset as an epoch, and the app's usage in percent."""
    headers = Limits(user_rate=5, app_rate=5).admit("u001", NOW)
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("10", "9")
    assert NOW < int(headers["X-RateLimit-Reset"]) <= NOW + 1
    assert json.loads(headers["X-App-Usage"]) == {"call_count": 10, "total_cputime": 5, "total_time": 5}


def test_a_rate_of_0_is_no_limit_and_sends_no_headers() -> None:
    """For load tests."""
    limits = Limits(user_rate=0, app_rate=0)
    assert [limits.admit("u001", NOW) for _ in range(1000)] == [{}] * 1000

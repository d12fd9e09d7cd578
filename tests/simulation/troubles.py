"""Everything an API or the way to it may answer instead of a page, as `shared/adapters/source_http.py` hands it on."""

from collections.abc import Callable

from shared.errors import MalformedResponse, SourceError, TemporaryFailure
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import answer

Trouble = Callable[[], Response]


def _html() -> Response:
    return Response(200, {"content-type": "text/html"}, b"<html>log in</html>")


def _cut_short() -> Response:
    return Response(200, {"content-type": "application/json"}, b'{"data": [{"id": 1')


def _raises(error: SourceError) -> Trouble:
    def respond() -> Response:
        raise error

    return respond


def _says(body: object, status: int = 200, **headers: str) -> Trouble:
    return lambda: answer(body, status, **headers)


THROTTLED: tuple[Trouble, ...] = (
    _says({}, 429),
    _says({}, 429, retry_after="20"),
    _says({}, 429, retry_after="1.5"),
    _says({}, 429, retry_after="Sun, 22 Nov 2026 12:03:00 GMT"),
    _says({}, 429, retry_after="Sun, 22 Nov 2020 12:00:00 GMT"),
    _says({}, 429, retry_after="-3"),
    _says({}, 429, retry_after="soon"),
    _says({}, 429, x_ratelimit_reset="1795349100"),
    _says({}, 403, retry_after="30"),
    _says({}, 403, x_ratelimit_remaining="0"),
    _says({"error": {"code": 4}}, 400),
    _says({"error": {"code": 17}}, 400),
    _says({"error": {"code": 613}}, 403),
    _says({"error": {"code": 80003}}, 400, retry_after="5"),
    _says({"error": {"code": 32}}),
)
FAILED: tuple[Trouble, ...] = (
    _says({}, 500),
    _says({}, 502),
    _says({}, 503, retry_after="10"),
    _says({}, 504),
    _says({}, 408),
    _says({"error": {"code": 1}}, 400),
    _says({"error": {"code": 2}}),
    _says({"error": "try again"}),
    _raises(TemporaryFailure("the connection was reset")),
    _raises(TemporaryFailure("no whole response within 30 s")),
)
UNREADABLE: tuple[Trouble, ...] = (
    _html,
    _cut_short,
    _says({"data": None}),
    _says({"data": {"id": 1}}),
    _says({}),
    _says([]),
    _raises(MalformedResponse("the body inflates beyond its limit")),
)
TROUBLES: tuple[Trouble, ...] = THROTTLED + FAILED + UNREADABLE

PATIENT: tuple[Trouble, ...] = (_says({}, 429, retry_after="99999999"),)
"""Absurd waits; they are capped at hours."""

AT_THE_TOKEN_ENDPOINT: tuple[Trouble, ...] = (
    _says({}, 429),
    _says({"error": "slow_down"}, 400, retry_after="3"),
    _says({"error": "invalid_grant"}, 429, retry_after="20"),
    _says({}, 503, retry_after="10"),
    _says({"error": "invalid_grant"}, 500),
    _says({"error": "temporarily_unavailable"}, 400),
    _html,
    _cut_short,
    _says({"expires_in": 60}),
    _says({"access_token": ["a"]}),
    _raises(TemporaryFailure("the connection was reset")),
)

REFUSALS: tuple[Trouble, ...] = (
    _says({"error": {"code": 190}}, 401),
    _says({}, 401),
    _says({}, 403),
    _says({"error": {"code": 102}}, 400),
    _says({"error": {"code": 190}}),
)
"""All the ways to say that a credential is not accepted (any more)."""

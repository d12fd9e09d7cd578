"""What a response means: a page of records, or one of the failures of `shared/errors.py`. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from shared.errors import (
    InvalidCredential,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.json_path import found_at
from shared.pipeline.pagination import next_cursor, whole_number
from shared.pipeline.spec import Offset, PageNumber, Stream

MAX_WAIT = 6 * 3600.0
"""Seconds; a source that asks for more is asked again after this."""

MAX_RECORDS = 10_000
LONGEST_CODE = 100

THROTTLING_CODES = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})
TRANSIENT_CODES = frozenset({1, 2})
CREDENTIAL_CODES = frozenset({102, 190})
"""Graph-like error codes, which arrive with status 200, 400 or 403 alike."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response, read to its end. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page, where the next one starts (None: nowhere), and the headers that came with it.

    `total` is how many records the whole window holds, where the file says how to tell.
    """

    records: list[Record]
    cursor: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    total: int | None = None


def read_page(stream: Stream, cursor: str | None, response: Response, now: datetime) -> Page:
    """Raises a SourceError that says what to do next; a broken body is never half-read."""
    if not 200 <= response.status < 300:
        raise _failure(response, stream, now)
    body = _parsed(response)
    if error := _error_inside(body, stream):
        raise _classified(response, error, now)
    records = _records(body, stream)
    page_cursor = next_cursor(stream, cursor, body, response.headers, records)
    return Page(records, page_cursor, response.headers, _total(stream, body))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from `Retry-After` (seconds, fractional too, or an HTTP date) or `X-RateLimit-Reset`.

    Zero, negative and past values mean «now» and count as None, so that back-off takes over; absurd ones are
    capped at MAX_WAIT.
    """
    wait = _seconds(headers.get("retry-after", ""), now)
    if wait is None:
        wait = _until_epoch(headers.get("x-ratelimit-reset", ""), now)
    return _capped(wait)


def _capped(wait: float | None) -> float | None:
    return min(wait, MAX_WAIT) if wait is not None and wait > 0 else None


def _seconds(value: str, now: datetime) -> float | None:
    if not value.strip():
        return None
    try:
        wait = float(value)
        return wait if wait == wait else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def _until_epoch(value: str, now: datetime) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number - now.timestamp() if number > 1e9 else number


def _failure(response: Response, stream: Stream, now: datetime) -> SourceError:
    try:
        error = _error_inside(_parsed(response), stream) or {}
    except MalformedResponse:
        error = {}
    return _classified(response, error, now)


def _classified(response: Response, error: Record, now: datetime) -> SourceError:
    """One failure from status and error body; the body's code counts more than the status."""
    status, code, headers = response.status, _code(error), response.headers
    said = f"status {status}" + (f", code {code}" if code is not None else "")
    exhausted = headers.get("retry-after") or headers.get("x-ratelimit-remaining") == "0"
    if code in THROTTLING_CODES or status == 429 or (status == 403 and exhausted):
        return RateLimited(f"throttled: {said}", retry_after(headers, now))
    if code in CREDENTIAL_CODES or status in {401, 403}:
        return InvalidCredential(f"the credential was refused: {said}")
    asked = _capped(_seconds(headers.get("retry-after", ""), now))
    if code in TRANSIENT_CODES or status >= 500 or status in {408, 425}:
        return TemporaryFailure(f"the source failed: {said}", asked)
    if 200 <= status < 300:
        return TemporaryFailure(f"an error inside {said}", asked)
    return RequestRejected(f"the source refused the request: {said}")


def _code(error: Record) -> int | str | None:
    """Printable, and short: what a source says here goes into checkpoints and logs."""
    code = error.get("code")
    if isinstance(code, str):
        return ascii(code[:LONGEST_CODE])[1:-1]
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _parsed(response: Response) -> Any:
    try:
        return json.loads(response.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type", "no content type").split(";")[0]
        raise MalformedResponse(
            f"status {response.status} with {len(response.body)} bytes of {kind} that are not JSON"
        ) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _error_inside(body: Any, stream: Stream) -> Record | None:
    """The error object of a body, if it has one: at `error_path`, or at `error` where the records are missing."""
    if stream.error_path is not None:
        found = found_at(stream.error_path, body)
        return _as_error(found) if found else None
    if not isinstance(body, dict) or not body.get("error"):
        return None
    has_records = stream.records is not None and found_at(stream.records, body) is not None
    return None if has_records else _as_error(body["error"])


def _as_error(found: Any) -> Record:
    return found if isinstance(found, dict) else {"message": found}


def _total(stream: Stream, body: Any) -> int | None:
    split = stream.windows.split if stream.windows else None
    path = split.total_path if split else None
    if stream.parallel is not None and isinstance(stream.paginator, PageNumber | Offset):
        path = stream.paginator.total_path
    return whole_number(path, body) if path else None


def _records(body: Any, stream: Stream) -> list[Record]:
    found = body if stream.records is None else found_at(stream.records, body)
    where = stream.records or "body"
    if not isinstance(found, list):
        raise MalformedResponse(f"{where}: found {type(found).__name__}, allowed: a list of records")
    if len(found) > MAX_RECORDS:
        raise MalformedResponse(f"{where}: found {len(found)} records, allowed: {MAX_RECORDS} a page")
    return [record if isinstance(record, dict) else {"value": record} for record in found]

"""What a response means: a page of records, or one of the failures of `shared/errors.py`. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from shared.errors import (
    CursorExpired,
    InvalidCredential,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.decoding import NAMES, decoded
from shared.pipeline.extensions import PageSeen, extension, guarded
from shared.pipeline.json_path import found_at, is_same
from shared.pipeline.pagination import next_cursor, storable, total_of, whole_number
from shared.pipeline.spec import BodyMatch, Custom, HeaderMatch, Offset, PageNumber, ResponseRule, Stream, Wait
from shared.pipeline.spec.reading import PATIENT
from shared.pipeline.waits import (
    APP_USAGE,
    Pause,
    asked_wait,
    capped,
    is_exhausted,
    is_used_up,
    retry_after,
    seconds_or_date,
    slowed_down,
)

MAX_RECORDS = 10_000
LONGEST_CODE = 100

THROTTLING_CODES = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})
TRANSIENT_CODES = frozenset({1, 2})
CREDENTIAL_CODES = frozenset({102, 190})
"""Graph-like error codes, which arrive with status 200, 400 or 403 alike."""

TOO_LARGE = 413

LONGEST_SEARCHED = 1000
"""Characters of a text that a pattern of a pipeline file is searched in."""

FAILURES: dict[str, type[SourceError]] = {
    "rate_limited": RateLimited,
    "temporary": TemporaryFailure,
    "invalid_credential": InvalidCredential,
    "rejected": RequestRejected,
    "cursor_expired": CursorExpired,
    "too_large": RequestRejected,
    "malformed": MalformedResponse,
}

BACKOFF = Wait(header="backoff")
"""Where a source asks for a wait behind a page, unless the file names another place."""

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

    `total` is how many records the whole window holds, where the file says how to tell. `wait` is for how many seconds
    the source wants to be left alone before the next page `wait_of` this run, of the user, or of all users of the app.
    """

    records: list[Record]
    cursor: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    total: int | None = None
    wait: float | None = None
    wait_of: Literal["run", "user", "app"] = "user"


def succeeded(stream: Stream, response: Response, now: datetime, source_rules: Sequence[ResponseRule] = ()) -> Response:
    """The response, if it is no failure: what an extractor gets. Raises the SourceError that it means."""
    body = _Body(response, stream)
    rule = _fitting((*stream.responses, *source_rules), response, body)
    if rule is not None and rule.means not in {"page", "end_of_data"}:
        raise _as_told(rule, response, body, now)
    if rule is None and not 200 <= response.status < 300:
        raise _failure(response, body, stream, now)
    return response


def read_page(
    stream: Stream,
    cursor: str | None,
    response: Response,
    now: datetime,
    source_rules: Sequence[ResponseRule] = (),
) -> Page:
    """Raises a SourceError that says what to do next; a broken body is never half-read.

    The first rule that fits counts, those of the stream before those of the source.
    """
    body = _Body(response, stream)
    rule = _fitting((*stream.responses, *source_rules), response, body)
    if rule is not None and rule.means == "page":
        return _page(stream, cursor, response, body.parsed, _pause_behind(rule, response, body, now))
    if rule is not None and rule.means == "end_of_data":
        return Page([], None)
    if rule is not None:
        raise _as_told(rule, response, body, now)
    if not 200 <= response.status < 300:
        raise _failure(response, body, stream, now)
    if error := _error_inside(body.parsed, stream):
        raise _classified(response, error, now)
    return _page(stream, cursor, response, body.parsed, _pause_behind(None, response, body, now))


def _pause_behind(rule: ResponseRule | None, response: Response, body: "_Body", now: datetime) -> Pause | None:
    """For how long the source wants to be left alone behind a page: where the file says, or by the header `Backoff`;
    or because a quota is nearly used up."""
    asked = rule.wait if rule is not None else None
    wait = asked_wait(asked or BACKOFF, response.headers, body.parsed if asked else None, now)
    if wait is not None:
        return Pause(wait, rule.blocks if rule is not None else "user")
    return slowed_down(response.headers)


def _page(stream: Stream, cursor: str | None, response: Response, body: Any, pause: Pause | None) -> Page:
    records = _records(body, stream)
    if isinstance(stream.paginator, Custom):
        page_cursor = _customised(stream.paginator, PageSeen(cursor, body, dict(response.headers), records))
    else:
        page_cursor = next_cursor(stream, cursor, body, response.headers, records)
    total = _total(stream, body, response.headers)
    if pause is None:
        return Page(records, page_cursor, response.headers, total)
    return Page(records, page_cursor, response.headers, total, pause.seconds, pause.of)


def _customised(custom: Custom, page: PageSeen) -> str | None:
    with guarded(custom):
        return storable(extension("paginators", custom).next_cursor(page), custom.class_name)


class _Body:
    """What the body says, read once and only when it is asked for. Errors are JSON, whatever pages are."""

    def __init__(self, response: Response, stream: Stream):
        self._response = response
        self._decoder = stream.decoder if 200 <= response.status < 300 else "json"

    @cached_property
    def parsed(self) -> Any:
        """Raises MalformedResponse."""
        try:
            return decoded(self._response.body, self._decoder)
        except (ValueError, RecursionError):
            kind = self._response.headers.get("content-type", "no content type").split(";")[0]
            raise MalformedResponse(
                f"status {self._response.status} with {len(self._response.body)} bytes of {kind} that are not "
                f"{NAMES[self._decoder]}"
            ) from None

    @property
    def parsed_or_none(self) -> Any:
        try:
            return self.parsed
        except MalformedResponse:
            return None

    def at(self, path: str) -> Any:
        try:
            return found_at(path, self.parsed)
        except MalformedResponse:
            return None


def _fitting(rules: Sequence[ResponseRule], response: Response, body: _Body) -> ResponseRule | None:
    """The first rule that fits; to one about the body, a body that is not JSON has nothing."""
    return next((rule for rule in rules if _fits(rule, response, body)), None)


def _fits(rule: ResponseRule, response: Response, body: _Body) -> bool:
    if rule.status and not any(each in (response.status, f"{response.status // 100}xx") for each in rule.status):
        return False
    if rule.header is not None and not _matches(rule.header, response.headers.get(rule.header.name.lower())):
        return False
    return rule.body is None or _matches(rule.body, body.at(rule.body.path))


def _matches(match: HeaderMatch | BodyMatch, found: Any) -> bool:
    if match.exists is not None:
        return (found is not None) is match.exists
    if match.regex is not None:
        is_text = isinstance(found, str | int | float) and not isinstance(found, bool)
        return is_text and re.search(match.regex, str(found)[:LONGEST_SEARCHED]) is not None
    return is_same(found, match.value)


def _as_told(rule: ResponseRule, response: Response, body: _Body, now: datetime) -> SourceError:
    said = f"the pipeline file calls it {rule.means}: status {response.status}"
    if rule.wait is not None:
        asked = asked_wait(rule.wait, response.headers, body.parsed_or_none, now)
    else:
        asked = retry_after(response.headers, now) if rule.means in PATIENT else None
    return FAILURES[rule.means](said, asked, of_app=rule.blocks == "app", too_large=rule.means == "too_large")


def _failure(response: Response, body: _Body, stream: Stream, now: datetime) -> SourceError:
    try:
        error = _error_inside(body.parsed, stream) or {}
    except MalformedResponse:
        error = {}
    return _classified(response, error, now)


def _classified(response: Response, error: Record, now: datetime) -> SourceError:
    """One failure from status and error body; the body's code counts more than the status."""
    status, code, headers = response.status, _code(error), response.headers
    said = f"status {status}" + (f", code {code}" if code is not None else "")
    exhausted = headers.get("retry-after") or is_exhausted(headers) or is_used_up(headers)
    if code in THROTTLING_CODES or status == 429 or (status == 403 and exhausted):
        return RateLimited(f"throttled: {said}", retry_after(headers, now), of_app=is_used_up(headers, APP_USAGE))
    if code in CREDENTIAL_CODES or status in {401, 403}:
        return InvalidCredential(f"the credential was refused: {said}")
    asked = capped(seconds_or_date(headers.get("retry-after", ""), now))
    if code in TRANSIENT_CODES or status >= 500 or status in {408, 425}:
        return TemporaryFailure(f"the source failed: {said}", asked)
    if 200 <= status < 300:
        return TemporaryFailure(f"an error inside {said}", asked)
    return RequestRejected(f"the source refused the request: {said}", too_large=status == TOO_LARGE)


def _code(error: Record) -> int | str | None:
    """Printable, and short: what a source says here goes into checkpoints and logs."""
    code = error.get("code")
    if isinstance(code, str):
        return ascii(code[:LONGEST_CODE])[1:-1]
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _error_inside(body: Any, stream: Stream) -> Record | None:
    """The error object of a body, if it has one: at `error_path`, or at `error` where the records are missing."""
    if stream.error_path is not None:
        found = found_at(stream.error_path, body)
        return _as_error(found) if found else None
    if not isinstance(body, dict) or not body.get("error"):
        return None
    has_records = any(found_at(path, body) is not None for path in stream.records)
    return None if has_records else _as_error(body["error"])


def _as_error(found: Any) -> Record:
    return found if isinstance(found, dict) else {"message": found}


def _total(stream: Stream, body: Any, headers: Mapping[str, str]) -> int | None:
    if stream.parallel is not None and isinstance(stream.paginator, PageNumber | Offset):
        return total_of(stream.paginator, body, headers)
    split = stream.windows.split if stream.windows else None
    return whole_number(split.total_path, body) if split and split.total_path else None


def _records(body: Any, stream: Stream) -> list[Record]:
    """The lists of all paths, one after the other. One may be missing where another is there."""
    paths = stream.records or ("@",)
    found = {path: found_at(path, body) for path in paths}
    if any(each is not None for each in found.values()):
        found = {path: each for path, each in found.items() if each is not None}
    where = ", ".join(stream.records) or "body"
    lists = [as_records(each, path if stream.records else "body") for path, each in found.items()]
    return as_records([record for each in lists for record in each], where)


def as_records(found: Any, where: str) -> list[Record]:
    """What was found as records at `where`. Raises MalformedResponse for no list, and for too long a one."""
    if not isinstance(found, list):
        raise MalformedResponse(f"{where}: found {type(found).__name__}, allowed: a list of records")
    if len(found) > MAX_RECORDS:
        raise MalformedResponse(f"{where}: found {len(found)} records, allowed: {MAX_RECORDS} a page")
    return [record if isinstance(record, dict) else {"value": record} for record in found]

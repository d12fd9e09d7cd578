"""Where the next page starts: `(spec, response, cursor) → cursor or None`. Nothing is remembered here."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at, is_same
from shared.pipeline.numbers import SpeltNumber
from shared.pipeline.spec import (
    Cursor,
    Custom,
    HeaderLink,
    JsonLink,
    NextQuery,
    Offset,
    PageNumber,
    SinglePage,
    StopWhen,
    Stream,
)

MAX_CURSOR = 16_384
"""Characters; a table property holds twice as many."""

CONTENT_RANGE = re.compile(r"[^/]*/([0-9]+)")
"""Such as `items 0-9/57`."""

WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
PARAMETER = r"\s*;\s*([^,;=\s]+)(?:\s*=\s*(?:\"([^\"]*)\"|([^,;\s]*)))?"
LINK = re.compile(rf"<([^<>]*)>((?:{PARAMETER})*)")
LINK_PARAMETER = re.compile(PARAMETER)


def next_cursor(
    stream: Stream, cursor: str | None, body: Any, headers: Mapping[str, str], records: Sequence[Any]
) -> str | None:
    """The cursor behind a page of these records, or None at the end. Header names are lower case.

    A short page is the end only where the file says so. Raises MalformedResponse when the source names a cursor that
    can't be sent as the file says, or a longer one than can be stored. A custom paginator is asked where the whole page
    is known.
    """
    if _is_last(stream, body, len(records)):
        return None
    match stream.paginator:
        case JsonLink(next_url_path=path):
            found = _as_link(_as_cursor(found_at(path, body), path))
        case NextQuery(next_query_path=path):
            found = _as_query(found_at(path, body), path)
        case Cursor() as spec:
            found = _named(spec, stream, body, headers, records)
        case HeaderLink(next_url_header=str(name)):
            found = _as_link(_as_cursor(headers.get(name.lower(), "").strip(), name))
        case HeaderLink():
            found = _as_link(_rel_next(headers.get("link", "")))
        case PageNumber(base_page=base) as counted:
            page = (base if cursor is None else int(cursor)) + 1
            found = _counted(page, page - base, total_of(counted, body, headers))
        case Offset(base_offset=base, limit=limit) as counted:
            offset = (base if cursor is None else int(cursor)) + (limit or len(records))
            found = _counted(offset, offset - base, total_of(counted, body, headers))
        case _:
            return None
    return _not_too_long(found)


def _named(spec: Cursor, stream: Stream, body: Any, headers: Mapping[str, str], records: Sequence[Any]) -> str | None:
    """The cursor that a response names; with its type, as JSON, where it is sent in JSON."""
    place = spec.cursor_header or spec.cursor_path or spec.cursor_record_path or ""
    value: Any
    if spec.cursor_header is not None:
        value = headers.get(place.lower())
    elif spec.cursor_path is not None:
        value = found_at(place, body)
    else:
        value = found_at(place, records[-1]) if records else None
    if sends_types(stream) and isinstance(value, list | dict):
        return typed_cursor(value) if value else None
    text = _as_cursor(value, place)
    return typed_cursor(value) if text is not None and sends_types(stream) else text


def sends_types(stream: Stream) -> bool:
    """Whether the cursor is sent in a place where a number is something else than its text."""
    in_body = isinstance(stream.paginator, Cursor) and stream.paginator.cursor_body_path is not None
    return in_body and stream.form is None


def typed_cursor(value: Any) -> str:
    """JSON of a cursor; a number that a float can't hold is kept as its text."""
    return json.dumps(_holdable(value))


def _holdable(value: Any) -> Any:
    match value:
        case SpeltNumber():
            return float(value) if value.compared == repr(float(value)) else str(value)
        case list():
            return [_holdable(each) for each in value]
        case dict():
            return {name: _holdable(each) for name, each in value.items()}
        case _:
            return value


def untyped(cursor: str) -> Any:
    """What a cursor of `typed_cursor` stands for; one that an earlier version stored is a text as it is."""
    try:
        value = json.loads(cursor)
    except ValueError:
        return cursor
    return cursor if value is None or isinstance(value, bool) else value


def storable(value: Any, place: str) -> str | None:
    """What was named as a cursor at `place`, as it is stored. Raises MalformedResponse."""
    return _not_too_long(_as_cursor(value, place))


def _not_too_long(found: str | None) -> str | None:
    if found is not None and len(found) > MAX_CURSOR:
        raise MalformedResponse(f"found a cursor of {len(found)} characters, allowed: {MAX_CURSOR}")
    return found


def _is_last(stream: Stream, body: Any, count: int) -> bool:
    """Whether the page ends the run, whatever it names as the next."""
    match stream.paginator:
        case SinglePage():
            return True
        case PageNumber(stop_when=()) | Offset(stop_when=()) as counting if not counting.is_counted:
            return count == 0
        case Custom():
            return False
        case paginator:
            return any(_stops(stop, body, count, stream.asked_for) for stop in paginator.stop_when)


def _stops(stop: StopWhen, body: Any, count: int, asked_for: int) -> bool:
    if stop.path is None:
        return count < (asked_for if stop.page == "short" else 1)
    return is_same(found_at(stop.path, body), stop.value)


def _as_cursor(value: Any, path: str) -> str | None:
    if value is None or value == "" or value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise MalformedResponse(f"{path}: found {type(value).__name__}, allowed: text or a number")
    cursor = str(value)
    try:
        cursor.encode()
    except UnicodeEncodeError:
        raise MalformedResponse(f"{path}: found half a surrogate pair, allowed: text that can be sent back") from None
    return cursor


def _as_query(value: Any, path: str) -> str | None:
    """Parameters as one cursor, the same text for the same parameters: JSON of texts, sorted by name."""
    if not value:
        return None
    if not isinstance(value, dict):
        raise MalformedResponse(f"{path}: found {type(value).__name__}, allowed: an object")
    query = {_as_parameter(name, path): _as_parameter(each, path) for name, each in value.items() if each is not None}
    return encoded_query(query) if query else None


def _as_parameter(value: Any, path: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _as_cursor(value, path) or ""


def encoded_query(query: Mapping[str, str]) -> str:
    """The cursor that stands for these parameters."""
    return json.dumps(query, sort_keys=True, separators=(",", ":"))


def decoded_query(cursor: str) -> dict[str, str]:
    """The parameters that a cursor of `encoded_query` stands for."""
    query: dict[str, str] = json.loads(cursor)
    return query


def _as_link(found: str | None) -> str | None:
    try:
        urlsplit(found or "")
    except ValueError:
        raise MalformedResponse("found a next link that is no URL") from None
    return found


def _counted(following: int, done: int, total: int | None) -> str | None:
    """`done` pages or records are behind us when `following` would be asked for next."""
    return str(following) if total is None or done < total else None


def total_of(counting: PageNumber | Offset, body: Any, headers: Mapping[str, str]) -> int | None:
    """How many pages or records there are, if the file says where the source counts them. Raises MalformedResponse."""
    if counting.total_header is not None:
        found = headers.get(counting.total_header.lower())
        behind = CONTENT_RANGE.fullmatch(found or "")
        return _as_count(behind[1] if behind else found, counting.total_header)
    return whole_number(counting.total_path, body) if counting.total_path is not None else None


def whole_number(path: str, body: Any) -> int:
    """A count that the source names. Raises MalformedResponse."""
    return _as_count(found_at(path, body), path)


def _as_count(found: Any, path: str) -> int:
    if isinstance(found, str) and WHOLE_NUMBER.fullmatch(found):
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise MalformedResponse(f"{path}: found {type(found).__name__}, allowed: a whole number")
    return found


def _rel_next(header: str) -> str | None:
    """The target of the first link whose relations include `next` (RFC 8288)."""
    for link in LINK.finditer(header):
        parameters = LINK_PARAMETER.findall(link.group(2))
        relations = [quoted or plain for name, quoted, plain in parameters if name.lower() == "rel"]
        if relations and "next" in relations[0].lower().split():
            return link.group(1) or None
    return None

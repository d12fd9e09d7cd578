"""Where the next page starts: `(spec, response, cursor) → cursor or None`. Nothing is remembered here."""

import re
from typing import Any
from urllib.parse import urlsplit

from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at
from shared.pipeline.spec import Cursor, Custom, HeaderLink, JsonLink, Offset, PageNumber, SinglePage, Stream

MAX_CURSOR = 16_384
"""Characters; a table property holds twice as many."""

WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
PARAMETER = r"\s*;\s*([^,;=\s]+)(?:\s*=\s*(?:\"([^\"]*)\"|([^,;\s]*)))?"
LINK = re.compile(rf"<([^<>]*)>((?:{PARAMETER})*)")
LINK_PARAMETER = re.compile(PARAMETER)


def next_cursor(stream: Stream, cursor: str | None, body: Any, headers: dict[str, str], count: int) -> str | None:
    """The cursor behind a page of `count` records, or None at the end.

    A short page is never by itself the end. Raises MalformedResponse when the source names a cursor that is no
    text or number, or a longer one than can be stored. A custom paginator is asked where the whole page is known.
    """
    match stream.paginator:
        case SinglePage() | Custom():
            return None
        case JsonLink(next_url_path=path):
            found = _as_link(_as_cursor(found_at(path, body), path))
        case Cursor(cursor_header=str(name)):
            found = _as_cursor(headers.get(name.lower()), name)
        case Cursor(cursor_path=str(path)):
            found = _as_cursor(found_at(path, body), path)
        case HeaderLink():
            found = _as_link(_rel_next(headers.get("link", "")))
        case PageNumber(base_page=base, total_path=total):
            page = base if cursor is None else int(cursor)
            found = _counted(page + 1, page + 1 - base, total, body, count)
        case Offset(base_offset=base, total_path=total):
            offset = (base if cursor is None else int(cursor)) + count
            found = _counted(offset, offset - base, total, body, count)
    return _not_too_long(found)


def storable(value: Any, place: str) -> str | None:
    """What was named as a cursor at `place`, as it is stored. Raises MalformedResponse."""
    return _not_too_long(_as_cursor(value, place))


def _not_too_long(found: str | None) -> str | None:
    if found is not None and len(found) > MAX_CURSOR:
        raise MalformedResponse(f"found a cursor of {len(found)} characters, allowed: {MAX_CURSOR}")
    return found


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


def _as_link(found: str | None) -> str | None:
    try:
        urlsplit(found or "")
    except ValueError:
        raise MalformedResponse("found a next link that is no URL") from None
    return found


def _counted(following: int, done: int, total_path: str | None, body: Any, count: int) -> str | None:
    """`done` pages or records are behind us when `following` would be asked for next."""
    if total_path is None:
        return str(following) if count else None
    total = found_at(total_path, body)
    if isinstance(total, str) and WHOLE_NUMBER.fullmatch(total):
        total = int(total)
    if isinstance(total, bool) or not isinstance(total, int):
        raise MalformedResponse(f"{total_path}: found {type(total).__name__}, allowed: a whole number")
    return str(following) if done < total else None


def _rel_next(header: str) -> str | None:
    """The target of the first link whose relations include `next` (RFC 8288)."""
    for link in LINK.finditer(header):
        parameters = LINK_PARAMETER.findall(link.group(2))
        relations = [quoted or plain for name, quoted, plain in parameters if name.lower() == "rel"]
        if relations and "next" in relations[0].lower().split():
            return link.group(1) or None
    return None

"""Where the next page starts: `(spec, response, cursor) → cursor or None`. Nothing is remembered here."""

import re
from typing import Any

import jmespath

from shared.errors import MalformedResponse
from shared.pipeline.spec import Cursor, HeaderLink, JsonLink, Offset, PageNumber, SinglePage, Stream

MAX_CURSOR = 16_384
"""Characters; a table property holds twice as many."""

LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;=\s]+(?:\s*=\s*(?:\"[^\"]*\"|[^,;\s]*))?)*)")
REL_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^,;\s]*))", re.IGNORECASE)


def next_cursor(stream: Stream, cursor: str | None, body: Any, headers: dict[str, str], count: int) -> str | None:
    """The cursor behind a page of `count` records, or None at the end.

    A short page is never by itself the end. Raises MalformedResponse when the source names a cursor that is no
    text or number, or a longer one than can be stored.
    """
    match stream.paginator:
        case SinglePage():
            return None
        case JsonLink(next_url_path=path) | Cursor(cursor_path=path):
            found = _as_cursor(jmespath.search(path, body), path)
        case HeaderLink():
            found = _rel_next(headers.get("link", ""))
        case PageNumber(base_page=base, total_path=total):
            page = base if cursor is None else int(cursor)
            found = _counted(page + 1, page + 1 - base, total, body, count)
        case Offset(base_offset=base, total_path=total):
            offset = (base if cursor is None else int(cursor)) + count
            found = _counted(offset, offset - base, total, body, count)
    if found is not None and len(found) > MAX_CURSOR:
        raise MalformedResponse(f"found a cursor of {len(found)} characters, allowed: {MAX_CURSOR}")
    return found


def _as_cursor(value: Any, path: str) -> str | None:
    if value is None or value == "" or value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise MalformedResponse(f"{path}: found {type(value).__name__}, allowed: text or a number")
    return str(value)


def _counted(following: int, done: int, total_path: str | None, body: Any, count: int) -> str | None:
    """`done` pages or records are behind us when `following` would be asked for next."""
    if total_path is None:
        return str(following) if count else None
    total = jmespath.search(total_path, body)
    if isinstance(total, str) and total.isdigit():
        total = int(total)
    if isinstance(total, bool) or not isinstance(total, int):
        raise MalformedResponse(f"{total_path}: found {type(total).__name__}, allowed: a whole number")
    return str(following) if done < total else None


def _rel_next(header: str) -> str | None:
    """The target of the first link whose relations include `next` (RFC 8288)."""
    for target, parameters in LINK.findall(header):
        relation = REL_NEXT.search(parameters)
        if relation and "next" in (relation.group(1) or relation.group(2) or "").lower().split():
            return str(target) or None
    return None

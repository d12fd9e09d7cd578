"""A look at a page, for a person and for a program. Everything that was sent or came back goes through the mask."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from http import HTTPStatus
from typing import Any

from rich.console import Console
from rich.table import Table

from devtools.cli.masking import Mask
from devtools.cli.preview_advice import remarks, what_follows, where_to_look
from devtools.cli.preview_steps import Look, Subject
from shared.log import HIDDEN
from shared.pipeline.auth import with_fields, with_query
from shared.pipeline.requests import PageRequest

MOST_ROWS = 10
WIDEST = 40
"""Characters of a cell."""

TELLING = ("content-type", "retry-after", "link", "location")
"""Headers of a response that are shown, beside those about limits; others may hold cookies."""

Facts = dict[str, Any]


def facts_of(look: Look, subject: Subject, mask: Mask) -> Facts:
    """One look as JSON. `records` are all of the page; `ms` is the time until the whole response was there."""
    facts: Facts = {"page": look.number}
    if look.request is not None:
        facts["request"] = _request(look.request, subject, mask)
    if look.response is not None:
        facts["response"] = {
            "status": look.response.status,
            "bytes": len(look.response.body),
            "headers": {name: mask.text(value) for name, value in look.response.headers.items() if _tells(name)},
        }
    facts["ms"] = round(look.seconds * 1000)
    if look.page is not None:
        facts |= {"count": len(look.page.records), "records": mask.value(look.page.records)}
        facts["cursor"] = look.page.cursor and (mask.url if "://" in look.page.cursor else mask.text)(look.page.cursor)
        facts["next"] = _request(look.following, subject, mask) if look.following else None
        facts["remarks"] = [mask.text(remark) for remark in remarks(look, subject)]
    if look.error is not None:
        facts["error"] = {
            "kind": str(look.error.kind),
            "said": mask.text(str(look.error)),
            "then": what_follows(look.error, subject, look),
            "look_at": mask.text(where_to_look(look.error, subject, look, mask.text)),
        }
    return facts


def show(facts: Facts, file: str, console: Console) -> None:
    """The facts of one look, read downwards."""
    for line in _lines_before(facts):
        console.print(line, soft_wrap=True)
    if "records" in facts:
        _show_records(facts["records"], console)
    for line in _lines_behind(facts, file):
        console.print(line, soft_wrap=True)
    console.print()


def _request(request: PageRequest, subject: Subject, mask: Mask) -> Facts:
    """With the credential in its place, hidden. What else a request has, a body say, is shown as it is called."""
    attached = subject.attachment
    url = mask.url(with_query(request.url, [(name, HIDDEN) for name, _ in attached.query]))
    content, headers = with_fields(request.content, request.headers, [(name, HIDDEN) for name, _ in attached.body])
    request = replace(request, content=content, headers=headers)
    known = {"url", "headers", "origins", "method"}
    rest = {each.name: getattr(request, each.name) for each in fields(request) if each.name not in known}
    return {
        "method": str(getattr(request, "method", "GET")),
        "url": url.replace("%5Bhidden%5D", HIDDEN),
        "headers": mask.value(request.headers) | {name: HIDDEN for name, _ in attached.headers},
        **{name: mask.value(_shown(value)) for name, value in rest.items() if value},
    }


def _shown(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, dict) else str(value)


def _tells(header: str) -> bool:
    return header in TELLING or "ratelimit" in header.replace("-", "")


def _lines_before(facts: Facts) -> Iterator[str]:
    if request := facts.get("request"):
        yield f"page {facts['page']}: {request['method']} {request['url']}"
        yield from (f"  {name}: {value}" for name, value in request["headers"].items())
        yield from (f"  {name}: {value}" for name, value in request.items() if name not in {"method", "url", "headers"})
    else:
        yield f"page {facts['page']}: no request could be made"
    if response := facts.get("response"):
        yield f"answer: {_status(response['status'])}, {response['bytes']:,} bytes in {facts['ms']:,} ms"
        yield from (f"  {name}: {value}" for name, value in response["headers"].items())
    elif facts.get("request"):
        yield f"no answer after {facts['ms']:,} ms"
    if "records" in facts:
        shown = f" (the first {MOST_ROWS})" if facts["count"] > MOST_ROWS else ""
        yield f"a page of {facts['count']:,} records{shown}"


def _lines_behind(facts: Facts, file: str) -> Iterator[str]:
    yield from (f"remark: {file}: {remark}" for remark in facts.get("remarks", []))
    if "records" in facts and facts["cursor"] is None:
        yield "next: none, the run ends here"
    elif following := facts.get("next"):
        yield f"cursor: {facts['cursor']}"
        yield f"next: {following['method']} {following['url']}"
    if error := facts.get("error"):
        yield f"{error['kind']}: {error['said']}"
        yield f"  {error['then']}"
        yield f"  look at {file}: {error['look_at']}"


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _show_records(records: list[Facts], console: Console) -> None:
    """As many columns as fit, in the order in which the records have them; the others are named."""
    rows = records[:MOST_ROWS]
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown: list[str] = []
    room = console.width - 1
    for name in names:
        width = 2 + max(len(_cell(text)) for text in (name, *(row.get(name, "") for row in rows)))
        if width <= room or not shown:
            shown.append(name)
            room -= width
    table = Table(*map(_cell, shown), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in shown))
    if shown:
        console.print(table)
    if left := [name for name in names if name not in shown]:
        console.print(f"{len(left)} more columns: {', '.join(left)}", soft_wrap=True)


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"

"""How an operation of an OpenAPI document seems to be paged, by the names of its parameters and properties. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from devtools.cli.init_draft import PAGINATORS, Part

LINKS = ("next_url", "next_page_url", "next_link", "nextlink", "@odata.nextlink", "next_page_uri", "next_href")
"""Properties that are URLs by their names; `next` is one by its format or by what it stands in."""

HOLDERS = ("links", "_links", "paging", "@links")
CURSORS = (
    "next_cursor", "nextcursor", "next_page_token", "nextpagetoken", "next_token", "nexttoken", "continuation_token",
    "continuationtoken", "end_cursor", "endcursor", "cursor", "after", "marker", "bookmark", "next",
)  # fmt: skip
CURSOR_PARAMS = (
    "cursor", "page_token", "pagetoken", "next_token", "nexttoken", "next_page_token", "nextpagetoken", "page[cursor]",
    "page[after]", "starting_after", "after", "continuation_token", "continuationtoken", "continuation", "marker",
    "bookmark", "start_cursor", "next_cursor",
)  # fmt: skip
OFFSET_PARAMS = ("offset", "skip", "$skip", "page[offset]", "start", "start_index", "startindex", "startat")
PAGE_PARAMS = ("page", "page_number", "pagenumber", "page[number]", "page_no", "pageno", "page_num", "p")
SIZE_PARAMS = (
    "limit", "per_page", "perpage", "page_size", "pagesize", "page[size]", "page[limit]", "max_results", "maxresults",
    "$top", "size", "first", "count",
)  # fmt: skip
PAGES = ("total_pages", "totalpages", "page_count", "pagecount", "last_page", "num_pages", "pages")
TOTALS = ("total", "total_count", "totalcount", "total_items", "totalitems", "total_results", "totalresults")
"""Not `count`, which more often counts the records of one page: the run would end there."""

COMMON_SIZE, LARGEST_SIZE = 100, 1000

STEP = re.compile(r'"([^"]*)"|([^."]+)')

Mappings = Callable[..., dict[str, Any]]
"""The mapping below a value of the document, references resolved."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers with: JMESPath of its list, properties of a record, all properties by path, headers."""

    records: str | None
    record: dict[str, Any]
    properties: dict[str, dict[str, Any]]
    headers: set[str] = field(default_factory=set)
    is_guessed: bool = False


def paging_of(asked: Mapping[str, dict[str, Any]], answer: Answer, mapping: Mappings) -> tuple[Part, dict[str, Any]]:
    """The paginator, and the query parameter that makes pages large. `asked` are the query parameters by name."""
    size = _first((name for name, each in asked.items() if not _is(mapping(each, "schema"), "boolean")), SIZE_PARAMS)
    query = {size: _size(mapping(asked[size], "schema"))} if size else {}
    return _paginator(asked, answer, mapping), query


def _paginator(asked: Mapping[str, dict[str, Any]], answer: Answer, mapping: Mappings) -> Part:
    texts = {path: each for path, each in answer.properties.items() if _is(each, "string")}
    numbers = [path for path, each in answer.properties.items() if _is(each, "integer", "number")]
    if "link" in answer.headers:
        return Part("header_link", {}, ("guessed: the answer has a Link header",))
    if link := next((path for path, each in texts.items() if _is_link(path, each)), None):
        return Part("json_link", {"next_url_path": link}, (f"guessed: {link} is the URL of the next page",))
    if param := _first(asked, CURSOR_PARAMS):
        return _cursor(param, texts, answer)
    if param := _first(asked, OFFSET_PARAMS):
        return _counted("offset", param, mapping(asked[param], "schema"), _first(numbers, TOTALS))
    if param := _first(asked, PAGE_PARAMS):
        return _counted("page_number", param, mapping(asked[param], "schema"), _first(numbers, PAGES))
    return Part("single_page", {}, ("guessed: nothing in the document looks like pages",))


def _cursor(param: str, texts: Mapping[str, Any], answer: Answer) -> Part:
    """Where no property looks like a cursor, some parameters want the key of the last record by their names."""
    path, why = _first(texts, CURSORS), "names the next page"
    if path is None and param in {"starting_after", "after"} and "id" in answer.record:
        path, why = f"{answer.records or ''}[-1].id", "of the last record says where the next page begins"
    if path is None:
        path, why = "next_cursor", "names the next page; the document does not say what does"
    return Part("cursor", {"cursor_path": path, "cursor_param": param}, (f"guessed: {path} {why}",))


def _counted(kind: str, param: str, schema: Mapping[str, Any], total: str | None) -> Part:
    counts, base = ("records", "base_offset") if kind == "offset" else ("pages", "base_page")
    named = "offset_param" if kind == "offset" else "page_param"
    given = [schema.get("default"), schema.get("minimum"), PAGINATORS[kind].options[base]]
    first = next(each for each in given if isinstance(each, int) and not isinstance(each, bool) and each >= 0)
    options = {named: param, base: first} | ({"total_path": total} if total else {})
    how = f"{total} says how many there are" if total else "one without records is the last"
    return Part(kind, options, (f"guessed: {param} counts {counts}, from {first}; {how}",))


def _size(schema: Mapping[str, Any]) -> int:
    largest = schema.get("maximum")
    if isinstance(largest, int | float) and 0 < largest <= LARGEST_SIZE:
        return int(largest)
    return LARGEST_SIZE if isinstance(largest, int | float) and largest > LARGEST_SIZE else COMMON_SIZE


def _is_link(path: str, schema: Mapping[str, Any]) -> bool:
    *holders, name = _steps(path)
    if name in LINKS or (name == "href" and holders[-1:] == ["next"]):
        return True
    in_url = schema.get("format") in {"uri", "url", "uri-reference"}
    return name == "next" and (in_url or bool(holders and holders[-1] in HOLDERS))


def _is(schema: Mapping[str, Any], *kinds: str) -> bool:
    """Whether the type is one of these, or, with JSON Schema's lists of types, may be one."""
    found = schema.get("type")
    return any(kind in (found if isinstance(found, list) else [found]) for kind in kinds)


def _first(names: Iterable[str], wanted: Iterable[str]) -> str | None:
    """The first of the wanted names that there is, by the last step of a path and whatever its case."""
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(_steps(name)[-1], name)
    return next((by_name[each] for each in wanted if each in by_name), None)


def _steps(path: str) -> list[str]:
    """The names along a path, in small letters. The name of a parameter is one step, brackets and all."""
    return [(quoted or plain).lower() for quoted, plain in STEP.findall(path)] or [path.lower()]

"""Whatever the sizes of pages, slices and batches are: every record of the source is met once, and none twice."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pipeline.chains import Passed, counted, parent_scope, passed_along
from shared.pipeline.loader import load_text
from shared.pipeline.requests import page_request
from shared.pipeline.responses import Response, read_page
from shared.pipeline.slices import Plan, Slice, bounded, counted_plan
from shared.pipeline.spec import Pipeline
from shared.pipeline.watermarks import Span
from tests.fakes.world import START

FILE = """
pipeline: shop
source: {{ base_url: "https://api.example.com/v1", auth: {{ type: none }} }}
streams:
  - name: orders
    path: /orders
    records: data
    paginator: {paginator}
    {more}
"""
KINDS = {
    "page_number": "{ type: page_number }",
    "page_number with a total": "{ type: page_number, total_path: pages }",
    "page_number from 0": "{ type: page_number, base_page: 0, total_path: pages }",
    "offset": "{ type: offset }",
    "offset with a total": "{ type: offset, total_path: total }",
    "offset with a total in a header": "{ type: offset, total_header: X-Total-Count }",
    "page_number with a total in a header": "{ type: page_number, base_page: 0, total_header: X-Total-Pages }",
    "offset from 1": "{ type: offset, base_offset: 1, total_path: total }",
    "cursor": "{ type: cursor, cursor_path: next, cursor_param: after }",
    "cursor of the last record": "{ type: cursor, cursor_record_path: id, cursor_param: after }",
    "json_link": "{ type: json_link, next_url_path: link }",
    "header_link": "{ type: header_link }",
    "next_query": "{ type: next_query, next_query_path: following }",
}
COUNTS = st.integers(0, 40)
SIZES = st.integers(1, 9)


def pipeline_of(paginator: str, more: str = "") -> Pipeline:
    return load_text(FILE.format(paginator=paginator, more=more), "shop.yaml")


def api(count: int, size: int, base: int = 0) -> Callable[[str], Response]:
    """A source with so many records, so many to a page, that answers to every way of paging."""

    def respond(url: str) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "after" in query:
            first = int(query["after"]) + 1
        elif "page" in query:
            first = (int(query["page"]) - base) * size
        else:
            first = int(query.get("offset", base)) - base
        rows = [{"id": number} for number in range(first, min(first + size, count))]
        last, more = first + size - 1, first + size < count
        link = f"https://api.example.com/v1/orders?after={last}"
        body = {"data": rows, "total": count, "pages": -(-count // size) or 1}
        body |= {"next": last, "link": link, "following": {"after": last}} if more else {}
        headers = {"x-total-count": str(count), "x-total-pages": str(body["pages"])}
        headers |= {"link": f'<{link}>; rel="next"'} if more else {}
        return Response(200, headers, json.dumps(body).encode())

    return respond


def shown(pipeline: Pipeline, respond: Callable[[str], Response], part: Slice) -> Iterator[int]:
    """The records of one slice, page by page, as the miner goes."""
    (stream,), cursor = pipeline.streams, part.start
    for _ in range(200):
        response = respond(page_request(pipeline, stream, cursor, {}).url)
        page = read_page(stream, cursor, response, START, ())
        records, following = bounded(part, stream, cursor, page.records, page.cursor)
        yield from (record["id"] for record in records)
        if following is None:
            return
        cursor = following
    raise AssertionError("it never ends")


@pytest.mark.parametrize("kind", KINDS)
@given(count=COUNTS, size=SIZES)
def test_following_the_pages_meets_every_record_once(kind: str, count: int, size: int):
    base = 1 if kind in {"page_number", "page_number with a total", "offset from 1"} else 0
    found = list(shown(pipeline_of(KINDS[kind]), api(count, size, base), Slice()))
    assert found == list(range(count))


@given(count=COUNTS, size=SIZES, each=st.integers(1, 12), base=st.integers(0, 1))
def test_slices_of_offsets_meet_every_record_once(count: int, size: int, each: int, base: int):
    """Also where a page reaches over the end of a slice."""
    parallel = f"parallel: {{ strategy: calculated_offsets, records_per_slice: {each} }}"
    pipeline = pipeline_of(f"{{ type: offset, base_offset: {base}, total_path: total }}", parallel)
    plan = counted_plan(pipeline.streams[0], Span(), count)
    parts = list(iter_slices(plan))
    found = [number for part in parts for number in shown(pipeline, api(count, size, base), part)]
    assert sorted(found) == list(range(count))


@given(count=COUNTS, size=SIZES, each=st.integers(1, 5), told=st.integers(1, 9))
def test_slices_of_pages_meet_every_record_once(count: int, size: int, each: int, told: int):
    """Whatever number of pages the file tells: the last slice ends where the source does."""
    pages = -(-count // size) or 1
    parallel = f"parallel: {{ strategy: known_pages, pages: {min(told, pages)}, pages_per_slice: {each} }}"
    pipeline = pipeline_of("{ type: page_number }", parallel)
    plan = counted_plan(pipeline.streams[0], Span(), None)
    found = [number for part in iter_slices(plan) for number in shown(pipeline, api(count, size, 1), part)]
    assert sorted(found) == list(range(count))


@given(parents=COUNTS, before=COUNTS, batch=SIZES, halve=st.lists(st.booleans(), max_size=30))
def test_slices_of_parents_have_each_of_them_once_however_they_are_halved(
    parents: int, before: int, batch: int, halve: list[bool]
):
    """Those before `base` were in an earlier plan."""
    waiting, found, cuts = list(iter_slices(Plan(base=before, each=batch, parents=before + parents))), [], iter(halve)
    while waiting:
        part = waiting.pop()
        if len(part.parents) > 1 and next(cuts, False):
            waiting += part.halves()
        else:
            found += part.parents
    assert sorted(found) == list(range(before, before + parents))


@given(pages=st.lists(st.lists(st.sampled_from((None, 0, 7, "x", True)), max_size=6), max_size=8))
def test_what_pages_pass_along_is_numbered_without_a_gap(pages: list[list[object]]):
    child = load_text(
        FILE.format(paginator="{ type: single_page }", more="")
        + "  - { name: items, path: '/{parent.x}', paginator: { type: single_page }, "
        "parent: { stream: orders, input_mapping: { x: id } } }\n",
        "shop.yaml",
    ).streams[1]
    before: dict[str, int] = {}
    rows: list[Passed] = []
    for page in pages:
        passed = passed_along([{"id": value} for value in page], [child], before)
        before = dict(counted(before, passed))
        rows += passed
    values = [value for page in pages for value in page if value is not None]
    assert [parent_scope(child.parent, [each])["x"] for row in rows for each in row.values] == values
    assert [number for row in rows for number in range(row.first, row.last + 1)] == list(range(len(values)))
    assert before.get("items", 0) == len(values)


def iter_slices(plan: Plan) -> Iterator[Slice]:
    number = 0
    while (part := plan.slice_at(number)) is not None:
        yield part
        number += 1

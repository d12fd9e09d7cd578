"""Where the next page starts, for every kind of paginator and every kind of end."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedResponse
from shared.pipeline.pagination import MAX_CURSOR, next_cursor
from shared.pipeline.spec import Stream

MakeStream = Callable[..., Stream]

LINK = {"type": "json_link", "next_url_path": "paging.next"}
CURSOR = {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "after"}
HEADER = {"type": "header_link"}


@pytest.mark.parametrize("ending", [{}, {"meta": None}, {"meta": {}}, {"meta": {"next": None}}, {"meta": {"next": ""}}])
def test_an_absent_null_or_empty_cursor_is_the_end(make_stream: MakeStream, ending: object):
    assert next_cursor(make_stream(CURSOR), "c", ending, {}, 10) is None


def test_false_is_the_end_too(make_stream: MakeStream):
    """Some APIs have a flag where others have a cursor."""
    assert next_cursor(make_stream(CURSOR), "c", {"meta": {"next": False}}, {}, 10) is None


@pytest.mark.parametrize(("found", "cursor"), [("abc", "abc"), (7, "7"), (0, "0"), (2**53 + 1, "9007199254740993")])
def test_text_and_numbers_are_cursors(make_stream: MakeStream, found: object, cursor: str):
    assert next_cursor(make_stream(CURSOR), "c", {"meta": {"next": found}}, {}, 10) == cursor


@pytest.mark.parametrize("count", [0, 1])
def test_a_short_or_empty_page_with_a_cursor_is_not_the_end(make_stream: MakeStream, count: int):
    """Servers filter after they page, and clamp page sizes silently."""
    assert next_cursor(make_stream(CURSOR), "c", {"meta": {"next": "d"}}, {}, count) == "d"


@pytest.mark.parametrize("found", [True, [], {}, ["a"], {"a": 1}, "\ud800"])
def test_what_can_not_be_sent_back_is_malformed(make_stream: MakeStream, found: object):
    with pytest.raises(MalformedResponse, match=r"^meta.next: found "):
        next_cursor(make_stream(CURSOR), "c", {"meta": {"next": found}}, {}, 10)


def test_a_cursor_that_can_not_be_stored_is_malformed(make_stream: MakeStream):
    stream = make_stream(CURSOR)
    longest = "c" * MAX_CURSOR
    assert next_cursor(stream, "c", {"meta": {"next": longest}}, {}, 10) == longest
    with pytest.raises(MalformedResponse, match=f"found a cursor of {MAX_CURSOR + 1} characters"):
        next_cursor(stream, "c", {"meta": {"next": longest + "c"}}, {}, 10)


@pytest.mark.parametrize("link", ["https://a.example/x?y=1", "/x", "?after=1"])
def test_a_link_in_the_body_is_kept_as_it_is(make_stream: MakeStream, link: str):
    assert next_cursor(make_stream(LINK), None, {"paging": {"next": link}}, {}, 10) == link


def test_a_link_that_is_no_url_is_malformed(make_stream: MakeStream):
    with pytest.raises(MalformedResponse, match="found a next link that is no URL"):
        next_cursor(make_stream(LINK), None, {"paging": {"next": "http://[::1"}}, {}, 10)
    with pytest.raises(MalformedResponse, match="found a next link that is no URL"):
        next_cursor(make_stream(HEADER), None, {}, {"link": '<http://[::1>; rel="next"'}, 10)


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('<https://a/2>; rel="next"', "https://a/2"),
        ("<https://a/2>; rel=next", "https://a/2"),
        ('<https://a/2> ; REL = "NEXT"', "https://a/2"),
        ('<https://a/1>; rel="prev", <https://a/3>; rel="next"', "https://a/3"),
        ('<https://a/1>; rel="first prev", <https://a/3>; rel="last next"', "https://a/3"),
        ('<https://a/2?x=1,2;3>; title="a, b; c"; rel="next"', "https://a/2?x=1,2;3"),
        ('</2>; rel="next"; type="text/html"', "/2"),
        ('<https://a/1>; title="; rel=next"; rel="prev"', None),
        ('<https://a/1>; rel="prev"; rel="next"', None),
        ('<https://a/1>; rel="nextish"', None),
        ("<https://a/1>; rel", None),
        ("<https://a/1>", None),
        ('<>; rel="next"', None),
        ("", None),
        ("garbage <<<>;;=", None),
    ],
)
def test_the_link_header_is_read_as_its_standard_says(make_stream: MakeStream, header: str, link: str | None):
    """RFC 8288: quoted or not, several relations, the first `rel` of a link counts."""
    assert next_cursor(make_stream(HEADER), None, {}, {"link": header}, 10) == link


def test_no_link_header_is_the_end(make_stream: MakeStream):
    assert next_cursor(make_stream(HEADER), "https://a/1", [], {}, 10) is None


@given(st.text(alphabet='<>;=", \trelnxt/a', max_size=200))
def test_any_link_header_is_read_or_ignored(make_stream: MakeStream, header: str):
    found = next_cursor(make_stream(HEADER), None, {}, {"link": header}, 10)
    assert found is None or f"<{found}>" in header


@pytest.mark.parametrize("header", ["<" * 60_000, "<a>" + " ;a" * 20_000, "<a>;" + " " * 60_000, "<a>;a=" * 10_000])
def test_a_hostile_link_header_takes_no_time(make_stream: MakeStream, header: str):
    """Quadratic reading would hold up every user of the instance for seconds; the test itself would hang."""
    assert next_cursor(make_stream(HEADER), None, {}, {"link": header * 10}, 10) is None


def test_a_single_page_is_all_there_is(make_stream: MakeStream):
    assert next_cursor(make_stream({"type": "single_page"}), None, {"next": "x"}, {}, 10) is None


@pytest.mark.parametrize(
    ("paginator", "cursor", "count", "following"),
    [
        ({"type": "page_number"}, None, 10, "2"),
        ({"type": "page_number"}, "7", 1, "8"),
        ({"type": "page_number"}, "7", 0, None),
        ({"type": "page_number", "base_page": 0}, None, 10, "1"),
        ({"type": "offset"}, None, 10, "10"),
        ({"type": "offset"}, "10", 3, "13"),
        ({"type": "offset"}, "13", 0, None),
        ({"type": "offset", "base_offset": 1}, None, 10, "11"),
    ],
)
def test_counting_goes_on_until_a_page_without_records(
    make_stream: MakeStream, paginator: object, cursor: str | None, count: int, following: str | None
):
    assert next_cursor(make_stream(paginator), cursor, {}, {}, count) == following


@pytest.mark.parametrize(
    ("paginator", "cursor", "total", "following"),
    [
        ({"type": "page_number"}, None, 2, "2"),
        ({"type": "page_number"}, "2", 2, None),
        ({"type": "page_number"}, None, 0, None),
        ({"type": "page_number"}, "2", "3", "3"),
        ({"type": "page_number", "base_page": 0}, "1", 2, None),
        ({"type": "offset"}, None, 11, "10"),
        ({"type": "offset"}, "10", 20, None),
        ({"type": "offset", "base_offset": 1}, "11", 20, None),
        ({"type": "offset", "base_offset": 1}, "11", 21, "21"),
    ],
)
def test_counting_ends_at_the_total_where_there_is_one(
    make_stream: MakeStream, paginator: dict[str, Any], cursor: str | None, total: object, following: str | None
):
    stream = make_stream({**paginator, "total_path": "total"})
    assert next_cursor(stream, cursor, {"total": total}, {}, 10) == following


@pytest.mark.parametrize("total", [None, "many", "²", "", 1.5, True, [], "9" * 5000])
def test_a_total_that_is_no_number_is_malformed(make_stream: MakeStream, total: object):
    stream = make_stream({"type": "offset", "total_path": "total"})
    with pytest.raises(MalformedResponse, match=r"^total: found .*, allowed: a whole number"):
        next_cursor(stream, None, {"total": total}, {}, 10)


@given(st.integers(0, 3000), st.integers(1, 500), st.integers(0, 5), st.booleans())
def test_offsets_reach_every_record_once_and_end(
    make_stream: MakeStream, records: int, clamp: int, base: int, with_total: bool
):
    """Whatever page size the server really uses."""
    total = {"total_path": "total"} if with_total else {}
    stream = make_stream({"type": "offset", "base_offset": base, **total})
    cursor, seen = None, []
    for _ in range(records + 2):
        start = int(cursor or base) - base
        page = range(start, min(start + clamp, records))
        seen += page
        cursor = next_cursor(stream, cursor, {"total": records}, {}, len(page))
        if cursor is None:
            break
    assert seen == list(range(records))
    assert cursor is None


@pytest.mark.parametrize(("headers", "cursor"), [({"x-next": "d"}, "d"), ({"x-next": ""}, None), ({}, None)])
@pytest.mark.parametrize("count", [0, 10])
def test_a_cursor_in_a_header_is_found_whatever_the_body_says(
    make_stream: MakeStream, headers: dict[str, str], cursor: str | None, count: int
):
    stream = make_stream({"type": "cursor", "cursor_header": "X-Next", "cursor_param": "after"})
    assert next_cursor(stream, "c", {"meta": {"next": "other"}}, headers, count) == cursor

"""Where the next page starts, for every kind of paginator and every kind of end."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPipeline, MalformedResponse
from shared.pipeline.pagination import MAX_CURSOR, decoded_query, next_cursor
from shared.pipeline.spec import Stream

MakeStream = Callable[..., Stream]

LINK = {"type": "json_link", "next_url_path": "paging.next"}
CURSOR = {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "after"}
HEADER = {"type": "header_link"}


def following(stream: Stream, cursor: str | None, body: object, headers: dict[str, str], count: int) -> str | None:
    """The cursor behind a page of `count` records of which only their number matters."""
    return next_cursor(stream, cursor, body, headers, [{}] * count)


@pytest.mark.parametrize("ending", [{}, {"meta": None}, {"meta": {}}, {"meta": {"next": None}}, {"meta": {"next": ""}}])
def test_an_absent_null_or_empty_cursor_is_the_end(make_stream: MakeStream, ending: object):
    assert following(make_stream(CURSOR), "c", ending, {}, 10) is None


def test_false_is_the_end_too(make_stream: MakeStream):
    """Some APIs have a flag where others have a cursor."""
    assert following(make_stream(CURSOR), "c", {"meta": {"next": False}}, {}, 10) is None


@pytest.mark.parametrize(("found", "cursor"), [("abc", "abc"), (7, "7"), (0, "0"), (2**53 + 1, "9007199254740993")])
def test_text_and_numbers_are_cursors(make_stream: MakeStream, found: object, cursor: str):
    assert following(make_stream(CURSOR), "c", {"meta": {"next": found}}, {}, 10) == cursor


@pytest.mark.parametrize("count", [0, 1])
def test_a_short_or_empty_page_with_a_cursor_is_not_the_end(make_stream: MakeStream, count: int):
    """Servers filter after they page, and clamp page sizes silently."""
    assert following(make_stream(CURSOR), "c", {"meta": {"next": "d"}}, {}, count) == "d"


@pytest.mark.parametrize("found", [True, [], {}, ["a"], {"a": 1}, "\ud800"])
def test_what_can_not_be_sent_back_is_malformed(make_stream: MakeStream, found: object):
    with pytest.raises(MalformedResponse, match=r"^meta.next: found "):
        following(make_stream(CURSOR), "c", {"meta": {"next": found}}, {}, 10)


def test_a_cursor_that_can_not_be_stored_is_malformed(make_stream: MakeStream):
    stream = make_stream(CURSOR)
    longest = "c" * MAX_CURSOR
    assert following(stream, "c", {"meta": {"next": longest}}, {}, 10) == longest
    with pytest.raises(MalformedResponse, match=f"found a cursor of {MAX_CURSOR + 1} characters"):
        following(stream, "c", {"meta": {"next": longest + "c"}}, {}, 10)


@pytest.mark.parametrize("link", ["https://a.example/x?y=1", "/x", "?after=1"])
def test_a_link_in_the_body_is_kept_as_it_is(make_stream: MakeStream, link: str):
    assert following(make_stream(LINK), None, {"paging": {"next": link}}, {}, 10) == link


def test_a_link_that_is_no_url_is_malformed(make_stream: MakeStream):
    with pytest.raises(MalformedResponse, match="found a next link that is no URL"):
        following(make_stream(LINK), None, {"paging": {"next": "http://[::1"}}, {}, 10)
    with pytest.raises(MalformedResponse, match="found a next link that is no URL"):
        following(make_stream(HEADER), None, {}, {"link": '<http://[::1>; rel="next"'}, 10)


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
    assert following(make_stream(HEADER), None, {}, {"link": header}, 10) == link


def test_no_link_header_is_the_end(make_stream: MakeStream):
    assert following(make_stream(HEADER), "https://a/1", [], {}, 10) is None


@given(st.text(alphabet='<>;=", \trelnxt/a', max_size=200))
def test_any_link_header_is_read_or_ignored(make_stream: MakeStream, header: str):
    found = following(make_stream(HEADER), None, {}, {"link": header}, 10)
    assert found is None or f"<{found}>" in header


@pytest.mark.parametrize("header", ["<" * 60_000, "<a>" + " ;a" * 20_000, "<a>;" + " " * 60_000, "<a>;a=" * 10_000])
def test_a_hostile_link_header_takes_no_time(make_stream: MakeStream, header: str):
    """Quadratic reading would hold up every user of the instance for seconds; the test itself would hang."""
    assert following(make_stream(HEADER), None, {}, {"link": header * 10}, 10) is None


def test_a_single_page_is_all_there_is(make_stream: MakeStream):
    assert following(make_stream({"type": "single_page"}), None, {"next": "x"}, {}, 10) is None


@pytest.mark.parametrize(
    ("paginator", "cursor", "count", "expected"),
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
    make_stream: MakeStream, paginator: object, cursor: str | None, count: int, expected: str | None
):
    assert following(make_stream(paginator), cursor, {}, {}, count) == expected


@pytest.mark.parametrize(
    ("paginator", "cursor", "total", "expected"),
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
    make_stream: MakeStream, paginator: dict[str, Any], cursor: str | None, total: object, expected: str | None
):
    stream = make_stream({**paginator, "total_path": "total"})
    assert following(stream, cursor, {"total": total}, {}, 10) == expected


@pytest.mark.parametrize("total", [None, "many", "²", "", 1.5, True, [], "9" * 5000])
def test_a_total_that_is_no_number_is_malformed(make_stream: MakeStream, total: object):
    stream = make_stream({"type": "offset", "total_path": "total"})
    with pytest.raises(MalformedResponse, match=r"^total: found .*, allowed: a whole number"):
        following(stream, None, {"total": total}, {}, 10)


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
        cursor = following(stream, cursor, {"total": records}, {}, len(page))
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
    assert following(stream, "c", {"meta": {"next": "other"}}, headers, count) == cursor


@pytest.mark.parametrize(
    ("records", "cursor"),
    [
        ([{"id": 1}, {"id": 7}], "7"),
        ([{"id": 7}, {"id": None}], None),
        ([{"id": 7}, {}], None),
        ([], None),
    ],
)
def test_a_cursor_in_the_last_record_is_found(make_stream: MakeStream, records: list[object], cursor: str | None):
    stream = make_stream({"type": "cursor", "cursor_record_path": "id", "cursor_param": "after"})
    assert next_cursor(stream, "c", {"id": "of the body"}, {}, records) == cursor


@pytest.mark.parametrize(
    ("headers", "link"),
    [
        ({"next-page": "https://a/2"}, "https://a/2"),
        ({"next-page": " /2?x=1 "}, "/2?x=1"),
        ({"next-page": "  "}, None),
        ({"next-page": ""}, None),
        ({"link": '<https://a/9>; rel="next"'}, None),
        ({}, None),
    ],
)
def test_a_header_may_be_the_next_link_itself(make_stream: MakeStream, headers: dict[str, str], link: str | None):
    stream = make_stream({"type": "header_link", "next_url_header": "Next-Page"})
    assert following(stream, None, {}, headers, 10) == link


@pytest.mark.parametrize(("cursor", "expected"), [(None, "100"), ("100", "200")])
@pytest.mark.parametrize("count", [1, 50, 100])
def test_a_fixed_limit_is_the_step_however_many_came(
    make_stream: MakeStream, cursor: str | None, expected: str, count: int
):
    assert following(make_stream({"type": "offset", "limit": 100}), cursor, {}, {}, count) == expected


def test_a_fixed_limit_ends_at_the_total(make_stream: MakeStream):
    stream = make_stream({"type": "offset", "limit": 100, "base_offset": 1, "total_path": "total"})
    assert following(stream, None, {"total": 101}, {}, 3) == "101"
    assert following(stream, "101", {"total": 101}, {}, 1) is None


MORE = {"path": "more", "value": False}


@pytest.mark.parametrize(
    ("stop_when", "body", "count", "ends"),
    [
        (MORE, {"more": False}, 10, True),
        (MORE, {"more": True}, 10, False),
        (MORE, {"more": True}, 0, False),
        (MORE, {"more": 0}, 10, False),
        (MORE, {"more": None}, 10, False),
        (MORE, {}, 10, False),
        ({"path": "more", "value": 0}, {"more": False}, 10, False),
        ({"path": "more", "value": 0}, {"more": 0}, 10, True),
        ({"path": "state", "value": "done"}, {"state": "done"}, 10, True),
        ({"path": "state", "value": "done"}, {"state": ["done"]}, 10, False),
        ({"path": "more"}, {"more": None}, 10, True),
        ({"path": "more"}, {}, 10, True),
        ({"path": "more"}, {"more": 1}, 10, False),
        ({"page": "empty"}, {}, 0, True),
        ({"page": "empty"}, {}, 1, False),
        ({"page": "short"}, {}, 9, True),
        ({"page": "short"}, {}, 10, False),
        ([MORE, {"page": "empty"}], {"more": True}, 0, True),
        ([MORE, {"page": "empty"}], {"more": False}, 5, True),
        ([MORE, {"page": "empty"}], {"more": True}, 5, False),
    ],
)
@pytest.mark.parametrize(
    "paginator",
    [CURSOR, LINK, HEADER, {"type": "page_number"}, {"type": "offset"}],
    ids=lambda paginator: paginator["type"],
)
def test_the_file_says_which_page_is_the_last(
    make_stream: MakeStream, paginator: dict[str, Any], stop_when: object, body: dict[str, Any], count: int, ends: bool
):
    """Whatever the page names as the next one; and no page is the last only because it is empty."""
    size = {"param": "limit", "value": 10}
    stream = make_stream({**paginator, "stop_when": stop_when}, page_size=size)
    named = {"meta": {"next": "d"}, "paging": {"next": "/2"}}
    found = following(stream, None, {**named, **body}, {"link": '</2>; rel="next"'}, count)
    assert (found is None) is ends


def test_a_flag_may_say_the_end_where_the_last_record_names_a_cursor(make_stream: MakeStream):
    paginator = {"type": "cursor", "cursor_record_path": "id", "cursor_param": "after", "stop_when": MORE}
    assert next_cursor(make_stream(paginator), None, {"more": False}, {}, [{"id": 1}]) is None
    assert next_cursor(make_stream(paginator), None, {"more": True}, {}, [{"id": 1}]) == "1"


@given(st.integers(0, 300), st.integers(1, 50), st.integers(0, 1), st.sampled_from(["total", "flag", "empty", "short"]))
def test_a_fixed_step_reaches_every_record_once_and_ends(
    make_stream: MakeStream, records: int, limit: int, base: int, end: str
):
    """Where the source keeps to the limit it is asked for."""
    how = {"total": {"total_path": "total"}, "flag": {"stop_when": MORE}, "short": {"stop_when": {"page": "short"}}}
    stream = make_stream({"type": "offset", "limit": limit, "base_offset": base, **how.get(end, {})})
    cursor, seen = None, []
    for _ in range(records + 2):
        start = int(cursor or base) - base
        page = range(start, min(start + limit, records))
        seen += page
        cursor = following(stream, cursor, {"total": records, "more": start + limit < records}, {}, len(page))
        if cursor is None:
            break
    assert seen == list(range(records))
    assert cursor is None


NEXT_QUERY = {"type": "next_query", "next_query_path": "continue"}


@pytest.mark.parametrize(
    ("found", "cursor"),
    [
        ({"b": "x", "a": 7}, '{"a":"7","b":"x"}'),
        ({"a": True, "b": False, "c": 1.5, "d": "", "e": None}, '{"a":"true","b":"false","c":"1.5","d":""}'),
        ({"a": None}, None),
        ({}, None),
        (None, None),
        (False, None),
        ("", None),
    ],
)
def test_parameters_of_the_next_request_are_one_cursor(make_stream: MakeStream, found: object, cursor: str | None):
    assert following(make_stream(NEXT_QUERY), None, {"continue": found}, {}, 10) == cursor


@pytest.mark.parametrize("found", ["x", 7, True, ["a"], {"a": []}, {"a": {"b": 1}}, {"a": "\ud800"}, {"\ud800": "a"}])
def test_what_are_no_parameters_is_malformed(make_stream: MakeStream, found: object):
    with pytest.raises(MalformedResponse, match=r"^continue: found "):
        following(make_stream(NEXT_QUERY), None, {"continue": found}, {}, 10)


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans(), min_size=1), st.randoms())
def test_the_same_parameters_are_the_same_cursor(make_stream: MakeStream, query: dict[str, object], rng: Random):
    """The loop check compares cursors; the order in which an object is written says nothing."""
    names = list(query)
    rng.shuffle(names)
    shuffled = {name: query[name] for name in names}
    stream = make_stream(NEXT_QUERY)
    cursor = following(stream, None, {"continue": query}, {}, 10)
    assert cursor is not None
    assert cursor == following(stream, None, {"continue": shuffled}, {}, 10)
    assert decoded_query(cursor).keys() == query.keys()


@pytest.mark.parametrize(("said", "cursor"), [("items 0-0/2", "1"), ("0-0/1", None), ("*/1", None), ("2", "1")])
def test_a_header_may_say_the_total_as_content_range_does(make_stream: MakeStream, said: str, cursor: str | None):
    stream = make_stream({"type": "offset", "total_header": "Content-Range"})
    assert next_cursor(stream, None, [{"id": 1}], {"content-range": said}, [{"id": 1}]) == cursor


@pytest.mark.parametrize("headers", [{}, {"x-total": "many"}, {"x-total": "0-9/*"}])
def test_a_total_that_the_header_does_not_say_is_malformed(make_stream: MakeStream, headers: dict[str, str]):
    stream = make_stream({"type": "offset", "total_header": "X-Total"})
    with pytest.raises(MalformedResponse, match=r"X-Total: found .*, allowed: a whole number"):
        next_cursor(stream, None, [{"id": 1}], headers, [{"id": 1}])


def test_a_total_stands_in_one_place(make_stream: MakeStream):
    with pytest.raises(InvalidPipeline, match="found total_path and total_header, allowed: one of them"):
        make_stream({"type": "page_number", "total_header": "X-Total", "total_path": "total"})

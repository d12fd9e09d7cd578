"""What is asked for one page, and where a request may go."""

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RequestRejected
from shared.pipeline.requests import PageRequest, origin_of, page_request
from shared.pipeline.responses import Response, read_page
from shared.pipeline.spec import Pipeline

MakePipeline = Callable[..., Pipeline]

SCOPES = {"user": {"id": "ann/1"}, "params": {"shop": "a&b", "base": "https://shop.example"}, "credentials": {}}
API = "https://api.example.com:443"
LINK = {"type": "json_link", "next_url_path": "next"}
CURSOR = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}
PAGE = {"type": "page_number"}
OFFSET = {"type": "offset"}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def asked(pipeline: Pipeline, cursor: str | None = None, scopes: object = SCOPES) -> PageRequest:
    return page_request(pipeline, pipeline.streams[0], cursor, scopes)  # type: ignore[arg-type]  # shorter to write


def test_the_first_page_is_asked_for_by_path_and_query(make_pipeline: MakePipeline):
    pipeline = make_pipeline(path="/{user.id}/posts", query={"limit": 10, "shop": "{params.shop}", "all": True})
    assert asked(pipeline).url == "https://api.example.com/v1/ann%2F1/posts?limit=10&shop=a%26b&all=true"


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.example.com/v1/", "/posts", "https://api.example.com/v1/posts"),
        ("https://api.example.com/v1", "posts", "https://api.example.com/v1/posts"),
        ("https://api.example.com", "", "https://api.example.com"),
        ("{params.base}", "/posts", "https://shop.example/posts"),
    ],
)
def test_base_and_path_are_joined_with_one_slash(make_pipeline: MakePipeline, base: str, path: str, url: str):
    assert asked(make_pipeline(source={"base_url": base}, path=path)).url == url


@pytest.mark.parametrize(
    ("paginator", "cursor", "query"),
    [
        (CURSOR, None, "limit=10"),
        (CURSOR, "abc", "limit=10&after=abc"),
        (PAGE, None, "limit=10&page=1"),
        (PAGE, "7", "limit=10&page=7"),
        ({"type": "page_number", "base_page": 0, "page_param": "p"}, None, "limit=10&p=0"),
        (OFFSET, None, "limit=10&offset=0"),
        (OFFSET, "200", "limit=10&offset=200"),
        ({"type": "single_page"}, None, "limit=10"),
        (LINK, None, "limit=10"),
        ({"type": "header_link"}, None, "limit=10"),
    ],
)
def test_each_paginator_asks_in_its_own_way(
    make_pipeline: MakePipeline, paginator: object, cursor: str | None, query: str
):
    url = asked(make_pipeline(paginator, path="/posts", query={"limit": 10}), cursor).url
    assert url == f"https://api.example.com/v1/posts?{query}"


def test_a_cursor_takes_the_place_of_the_same_parameter(make_pipeline: MakePipeline):
    pipeline = make_pipeline(CURSOR, path="/posts", query={"after": "start", "limit": 10})
    assert asked(pipeline, "abc").url == "https://api.example.com/v1/posts?limit=10&after=abc"


@given(cursor=st.text(min_size=1))
def test_any_cursor_arrives_as_it_is(make_pipeline: MakePipeline, cursor: str):
    """Keyset tokens hold `+`, `=`, `/`, blanks; the source must read back the very text it named."""
    url = asked(make_pipeline(CURSOR, path="/posts"), cursor).url
    assert parse_qs(urlsplit(url).query, keep_blank_values=True) == {"after": [cursor]}


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://api.example.com/v2/posts?after=a%2Bb==&x=%7e+y", None),
        ("/v2/posts?after=1", "https://api.example.com/v2/posts?after=1"),
        ("?after=1", "https://api.example.com/v1/posts?after=1"),
        ("more?after=1", "https://api.example.com/v1/more?after=1"),
        ("//api.example.com/v2", "https://api.example.com/v2"),
        ("https://API.example.com:443/v2", None),
    ],
)
def test_a_next_link_is_followed_as_it_stands(make_pipeline: MakePipeline, link: str, url: str | None):
    """Absolute ones byte for byte: a signed link breaks if it is written anew."""
    pipeline = make_pipeline(LINK, path="/posts", query={"limit": 10})
    assert asked(pipeline, link).url == (url or link)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/posts",
        "http://api.example.com/v1/posts",
        "https://api.example.com:444/v1/posts",
        "//evil.example/posts",
        "https://api.example.com@evil.example/posts",
        "https://api.example.com.evil.example/posts",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[::1",
        "https://api.example.com:port/",
        "https://api.example.com:99999999/",
    ],
)
def test_a_link_to_another_origin_is_refused(make_pipeline: MakePipeline, link: str):
    """Another scheme or port is another origin; the credential would go there."""
    with pytest.raises(RequestRejected):
        asked(make_pipeline(LINK, path="/posts"), link)


def test_the_refusal_names_what_was_found_and_what_is_allowed(make_pipeline: MakePipeline):
    pipeline = make_pipeline(LINK, source={"allowed_origins": ["https://cdn.example.com"]})
    with pytest.raises(RequestRejected) as refused:
        asked(pipeline, "https://evil.example/?access_token=canary")
    assert str(refused.value) == (
        "the next link leads to https://evil.example:443, "
        "allowed: https://api.example.com:443, https://cdn.example.com:443"
    )


def test_an_origin_that_the_file_allows_may_be_followed(make_pipeline: MakePipeline):
    pipeline = make_pipeline(LINK, source={"allowed_origins": ["https://cdn.example.com"]})
    request = asked(pipeline, "https://cdn.example.com/next")
    assert request.url == "https://cdn.example.com/next"
    assert request.origins == {API, "https://cdn.example.com:443"}


def test_headers_are_filled_and_those_of_the_stream_win(make_pipeline: MakePipeline):
    pipeline = make_pipeline(
        source={"headers": {"X-Shop": "{params.shop}", "X-Version": "1"}}, headers={"X-Version": "2"}
    )
    assert asked(pipeline).headers == {"X-Shop": "a&b", "X-Version": "2"}


def test_a_parameter_that_the_user_lacks_is_named(make_pipeline: MakePipeline):
    with pytest.raises(RequestRejected, match=r"the user has no value for \{params.region\}"):
        asked(make_pipeline(path="/{params.region}"))


@pytest.mark.parametrize("base", ["nonsense", "ftp://shop.example", "https://[bad", "https://", ""])
def test_a_users_base_url_that_is_none_is_refused(make_pipeline: MakePipeline, base: str):
    """It comes from the users file, so it is one user's mistake and must be classified, not crash."""
    pipeline = make_pipeline(CURSOR, source={"base_url": "{params.base}"}, query={"limit": 10})
    with pytest.raises(RequestRejected, match=r"allowed: http\(s\)://host/"):
        asked(pipeline, None, {"params": {"base": base}, "user": {"id": "ann"}})


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.Example.com/x?y#z", API),
        ("https://api.example.com:443", API),
        ("http://api.example.com", "http://api.example.com:80"),
        ("http://api.example.com:8080/", "http://api.example.com:8080"),
        ("https://user:pass@api.example.com/", API),
        ("https://müller.example/", "https://xn--mller-kva.example:443"),
        ("https://xn--mller-kva.example/", "https://xn--mller-kva.example:443"),
    ],
)
def test_origins_can_be_compared(url: str, origin: str):
    assert origin_of(url) == origin


@given(st.text())
def test_any_text_has_an_origin_or_is_refused(url: str):
    """Whatever a source writes into a link, the answer is a decision and not a crash."""
    for text in (url, f"https://{url}", f"https://api.example.com{url}"):
        with contextlib.suppress(RequestRejected):
            assert origin_of(text).startswith(("http://", "https://"))


def test_a_get_has_no_body(make_pipeline: MakePipeline):
    request = asked(make_pipeline(path="/posts"))
    assert (request.method, request.content, request.headers) == ("GET", None, {})


def test_a_json_body_is_filled_at_any_depth(make_pipeline: MakePipeline):
    body = {"who": "{user.id}", "where": [{"shop": "in {params.shop}", "open": True, "least": 1.5, "most": None}]}
    request = asked(make_pipeline(path="/search", method="post", json=body))
    assert request.method == "POST"
    assert request.headers == {"Content-Type": "application/json"}
    assert json.loads(request.content or b"") == {
        "who": "ann/1",
        "where": [{"shop": "in a&b", "open": True, "least": 1.5, "most": None}],
    }


def test_a_text_that_is_one_placeholder_keeps_the_type_of_its_value(make_pipeline: MakePipeline):
    pipeline = make_pipeline(method="post", json={"a": "{params.n}", "b": "no {params.n}", "c": "{params.l}"})
    request = asked(pipeline, None, {"params": {"n": 7, "l": ["x"]}, "user": {"id": "ann"}})
    assert json.loads(request.content or b"") == {"a": 7, "b": "no 7", "c": ["x"]}


def test_a_form_is_sent_as_browsers_do(make_pipeline: MakePipeline):
    request = asked(make_pipeline(method="post", form={"shop": "{params.shop}", "n": 1, "all": False}))
    assert request.content == b"shop=a%26b&n=1&all=false"
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_content_type_of_the_file_is_kept(make_pipeline: MakePipeline):
    pipeline = make_pipeline(method="post", json={}, headers={"content-type": "application/vnd.api+json"})
    assert asked(pipeline).headers == {"content-type": "application/vnd.api+json"}


@pytest.mark.parametrize(
    ("stream", "url", "body"),
    [
        ({"page_size": {"param": "limit", "value": 50}}, "https://api.example.com/v1?a=1&limit=50", None),
        (
            {"page_size": {"param": "page.size", "value": 50, "location": "body"}, "method": "post"},
            "https://api.example.com/v1?a=1",
            b'{"page":{"size":50}}',
        ),
        (
            {"page_size": {"param": "page.size", "value": 50, "location": "body"}, "method": "post", "form": {"x": 1}},
            "https://api.example.com/v1?a=1",
            b"x=1&page.size=50",
        ),
        (
            {
                "page_size": {"param": "page.size", "value": 50, "location": "body"},
                "method": "post",
                "json": {"page": {"sort": "id"}, "size": 1},
            },
            "https://api.example.com/v1?a=1",
            b'{"page":{"sort":"id","size":50},"size":1}',
        ),
    ],
)
def test_the_page_size_is_sent_where_the_file_says(
    make_pipeline: MakePipeline, stream: dict[str, object], url: str, body: bytes | None
):
    request = asked(make_pipeline(query={"a": 1}, **stream))
    assert (request.url, request.content) == (url, body)


def test_one_request_does_not_change_the_next(make_pipeline: MakePipeline):
    """The body of the file is a pattern; what is put into it is put into a copy."""
    size = {"param": "page.size", "value": 50, "location": "body"}
    pipeline = make_pipeline(method="post", json={"page": {}}, page_size=size)
    assert asked(pipeline).content == asked(pipeline).content == b'{"page":{"size":50}}'
    assert pipeline.streams[0].json_body == {"page": {}}


def test_the_names_that_a_body_needs_are_asked_of_each_user(make_pipeline: MakePipeline):
    assert make_pipeline(method="post", json={"a": [{"b": "{params.region}"}]}).params == {"region"}


AFTER_BODY = {"type": "cursor", "cursor_path": "next", "cursor_body_path": "page.after"}
AFTER_HEADER = {"type": "cursor", "cursor_path": "next", "cursor_request_header": "X-After"}


@pytest.mark.parametrize(
    ("paginator", "cursor", "url", "body"),
    [
        (AFTER_BODY, None, "", {"x": 1}),
        (AFTER_BODY, '"a=="', "", {"x": 1, "page": {"after": "a=="}}),
        (AFTER_BODY, '"7"', "", {"x": 1, "page": {"after": "7"}}),
        (AFTER_BODY, "7", "", {"x": 1, "page": {"after": 7}}),
        (AFTER_BODY, "1.5", "", {"x": 1, "page": {"after": 1.5}}),
        (AFTER_BODY, '[1700000000000, null, "a"]', "", {"x": 1, "page": {"after": [1700000000000, None, "a"]}}),
        (AFTER_BODY, '{"id": {"S": "7"}}', "", {"x": 1, "page": {"after": {"id": {"S": "7"}}}}),
        ({"type": "page_number", "page_body_path": "page"}, None, "", {"x": 1, "page": 1}),
        ({"type": "page_number", "page_body_path": "page"}, "7", "", {"x": 1, "page": 7}),
        ({"type": "offset", "offset_body_path": "from"}, "20", "", {"x": 1, "from": 20}),
        ({"type": "offset", "limit": 10}, None, "?offset=0&limit=10", {"x": 1}),
        ({"type": "offset", "limit": 10, "limit_param": "count"}, "10", "?offset=10&count=10", {"x": 1}),
        (
            {
                "type": "offset",
                "limit": 10,
                "limit_body_path": "p.size",
                "offset_body_path": "p.from",
                "base_offset": 1,
            },
            None,
            "",
            {"x": 1, "p": {"from": 1, "size": 10}},
        ),
    ],
)
def test_a_place_may_be_told_in_the_body(
    make_pipeline: MakePipeline, paginator: object, cursor: str | None, url: str, body: object
):
    request = asked(make_pipeline(paginator, method="post", json={"x": 1}), cursor)
    assert request.url == "https://api.example.com/v1" + url
    assert json.loads(request.content or b"") == body


BY_TOKEN = {"type": "cursor", "cursor_path": "next"}


@pytest.mark.parametrize(
    ("paginator", "asked_for", "cursor", "url"),
    [
        ({"type": "page_number"}, {"path": "/posts/page/{page.number}"}, None, "/posts/page/1"),
        ({"type": "page_number"}, {"path": "/posts/page/{page.number}"}, "7", "/posts/page/7"),
        ({"type": "page_number"}, {"query": {"q": "(page:{page.number},n:2)"}}, "7", "?q=%28page%3A7%2Cn%3A2%29"),
        ({"type": "offset"}, {"query": {"sql": "limit 5 offset {page.offset}"}}, None, "?sql=limit+5+offset+0"),
        (
            {"type": "offset", "limit": 5},
            {"query": {"sql": "offset {page.offset}"}},
            "5",
            "?sql=offset+5&limit=5",
        ),
        (BY_TOKEN, {"path": "/scroll/{page.cursor}"}, "a/b", "/scroll/a%2Fb"),
        (BY_TOKEN, {"query": {"at": "{page.cursor}"}}, None, "?at="),
        (BY_TOKEN | {"initial_cursor": "*"}, {"query": {"at": "{page.cursor}"}}, None, "?at=%2A"),
    ],
)
def test_a_template_may_say_which_page_is_meant(
    make_pipeline: MakePipeline, paginator: object, asked_for: dict[str, object], cursor: str | None, url: str
):
    """Then no parameter does."""
    assert asked(make_pipeline(paginator, **asked_for), cursor).url == "https://api.example.com/v1" + url


def test_a_place_in_a_template_of_a_body_is_a_number(make_pipeline: MakePipeline):
    pipeline = make_pipeline({"type": "offset"}, method="post", json={"range": ["{page.offset}", "{page.offset}+5"]})
    assert json.loads(asked(pipeline, "20").content or b"") == {"range": [20, "20+5"]}


@given(cursor=st.text(min_size=1))
def test_any_cursor_arrives_in_a_body_as_it_is(make_pipeline: MakePipeline, cursor: str):
    request = asked(make_pipeline(AFTER_BODY, method="post"), json.dumps(cursor))
    assert json.loads(request.content or b"") == {"page": {"after": cursor}}
    form = asked(make_pipeline(AFTER_BODY, method="post", form={"x": 1}), cursor)
    assert parse_qs((form.content or b"").decode(), keep_blank_values=True) == {"x": ["1"], "page.after": [cursor]}


def test_a_cursor_may_be_sent_in_a_header(make_pipeline: MakePipeline):
    """It takes the place of the same header, however that is spelt."""
    pipeline = make_pipeline(AFTER_HEADER, headers={"x-after": "start", "X-Shop": "1"})
    assert asked(pipeline).headers == {"x-after": "start", "X-Shop": "1"}
    assert asked(pipeline, "a==").headers == {"X-Shop": "1", "X-After": "a=="}
    assert asked(pipeline, "a==").url == asked(pipeline).url


def test_parameters_of_the_response_take_the_place_of_those_of_the_file(make_pipeline: MakePipeline):
    pipeline = make_pipeline({"type": "next_query", "next_query_path": "next"}, query={"list": "all", "from": "A"})
    assert asked(pipeline).url == "https://api.example.com/v1?list=all&from=A"
    assert asked(pipeline, '{"from":"B&C","n":"2"}').url == "https://api.example.com/v1?list=all&from=B%26C&n=2"


@pytest.mark.parametrize("stored", ["a==", "true", "null", '{"a"'])
def test_a_cursor_that_an_earlier_version_stored_as_its_text_is_sent_as_one(make_pipeline: MakePipeline, stored: str):
    request = asked(make_pipeline(AFTER_BODY, method="post"), stored)
    assert json.loads(request.content or b"") == {"page": {"after": stored}}


@given(cursor=st.text(min_size=1) | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_cursor_comes_back_in_json_with_the_type_that_it_had(make_pipeline: MakePipeline, cursor: str | float):
    pipeline = make_pipeline(AFTER_BODY, method="post", records="data")
    body = json.dumps({"data": [], "next": cursor}).encode()
    page = read_page(pipeline.streams[0], None, Response(200, {}, body), NOW)
    assert page.cursor is not None
    sent = json.loads(asked(pipeline, page.cursor).content or b"")["page"]["after"]
    assert (sent, type(sent)) == (cursor, type(cursor))


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        (b"1.10", 1.1),
        (b"1e2", 100.0),
        (b"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    ],
)
def test_a_fraction_comes_back_as_a_number_where_one_can_hold_it(
    make_pipeline: MakePipeline, found: bytes, sent: object
):
    pipeline = make_pipeline(AFTER_BODY, method="post", records="data")
    page = read_page(pipeline.streams[0], None, Response(200, {}, b'{"data": [], "next": %s}' % found), NOW)
    assert json.loads(asked(pipeline, page.cursor).content or b"") == {"page": {"after": sent}}

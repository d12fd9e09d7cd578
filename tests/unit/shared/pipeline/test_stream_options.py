"""Options of a stream that do not go together are refused, in one clear line."""

import pytest

from shared.errors import InvalidPipeline
from shared.pipeline.loader import load_text

FOUND = "allowed: one of cursor_path, cursor_header, cursor_record_path"
SENT = "allowed: one of cursor_param, cursor_request_header, cursor_body_path"


@pytest.mark.parametrize(
    ("paginator", "said"),
    [
        ("type: cursor, cursor_param: a", f": found none, {FOUND}"),
        (
            "type: cursor, cursor_path: a, cursor_header: b, cursor_param: a",
            f": found cursor_path and cursor_header, {FOUND}",
        ),
        (
            "type: cursor, cursor_path: a, cursor_param: a, cursor_body_path: b",
            f": found cursor_param and cursor_body_path, {SENT}",
        ),
        ("type: offset, limit_param: a", ": found limit_param without limit, allowed: both or neither"),
        ("type: offset, limit: 0", ".limit: found 0, allowed: greater than or equal to 1"),
        ("type: json_link, next_url_path: a, stop_when: 1", ".stop_when: found 1, allowed: a list"),
        ("type: header_link, stop_when: {}", ".stop_when: found none, allowed: one of path, page"),
        (
            "type: header_link, stop_when: [{ path: a, page: empty }]",
            ".stop_when[0]: found path and page, allowed: one of path, page",
        ),
        (
            "type: header_link, stop_when: { page: empty, value: 1 }",
            ".stop_when: found value without path, allowed: both or neither",
        ),
        ("type: header_link, stop_when: { page: full }", ".stop_when.page: found 'full', allowed: 'empty' or 's"),
        ("type: header_link, stop_when: { path: a, value: [] }", ".stop_when.value: found an empty list, allowed: "),
        ("type: single_page, stop_when: { page: empty }", ".stop_when: found an unknown key, allowed: type"),
    ],
)
def test_a_paginator_that_can_not_work_is_refused(paginator: str, said: str):
    assert one_stream_refused("path: /a", f"{{ {paginator} }}").startswith(f"streams[0].paginator{said}")


@pytest.mark.parametrize(
    ("more", "paginator", "said"),
    [
        (
            "path: /a",
            "type: cursor, cursor_path: a",
            "found no place for the cursor, allowed: cursor_param, cursor_request_header, cursor_body_path or {page",
        ),
        (
            "path: /a",
            "type: cursor, cursor_path: a, cursor_param: a, initial_cursor: b",
            "found initial_cursor without {page.cursor}, allowed: both or neither",
        ),
        (
            'path: "/a/{page.cursor}"',
            "type: cursor, cursor_path: a, cursor_param: a",
            "found {page.cursor} and cursor_param, allowed: one of them",
        ),
        (
            'path: "/a/{page.number}"',
            "type: page_number, page_param: p",
            "found {page.number} and page_param, allowed: one of them",
        ),
        ('path: "/a/{page.number}"', "type: offset", "found {page.number}, allowed: {page.offset}"),
        (
            'path: "/a/{page.number}"',
            "type: single_page",
            "found {page.number}, allowed: with a paginator of type page_number, offset or cursor",
        ),
    ],
)
def test_the_place_of_a_page_is_said_once(more: str, paginator: str, said: str):
    assert one_stream_refused(more, f"{{ {paginator} }}").startswith(f"streams[0]: {said}")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("means: page", ": found a rule for nothing, allowed: with status, header or body"),
        ("status: 404", ".means: found nothing, allowed: this key must be there"),
        ("status: 404, means: gone", ".means: found 'gone', allowed: 'page', 'end_of_data', 'rate_limited', "),
        ("status: 99, means: page", ".status: found 99, allowed: a status such as 404, or a class such as 5xx"),
        ("status: 6xx, means: page", ".status: found '6xx', allowed: a status such as 404, or a class such as 5xx"),
        ("status: [404, 600], means: page", ".status[1]: found 600, allowed: a status such as 404, or a class such "),
        ("header: { name: X }, means: page", ".header: found none, allowed: one of value, regex, exists"),
        (
            "header: { name: X, value: a, exists: true }, means: page",
            ".header: found value and exists, allowed: one of value, regex, exists",
        ),
        ("header: { name: X, regex: '(' }, means: page", ".header.regex: found '(', allowed: a regular expression ("),
        ("body: { path: 'a[', exists: true }, means: page", ".body.path: found 'a[', allowed: a JMESPath expression"),
        ("body: { value: 1 }, means: page", ".body.path: found nothing, allowed: this key must be there"),
        (
            "status: 429, means: rejected, wait: { header: X }",
            ": found wait with rejected, allowed: with page or rate_",
        ),
        ("status: 429, means: temporary, wait: {}", ".wait: found none, allowed: one of header, path"),
        (
            "status: 429, means: temporary, wait: { header: X, unit: days }",
            ".wait.unit: found 'days', allowed: 'seconds', 'milliseconds', 'minutes', 'epoch' or 'http_date'",
        ),
    ],
)
def test_a_rule_for_responses_that_can_not_work_is_refused(rule: str, said: str):
    assert one_stream_refused(f"responses: [{{ {rule} }}]").startswith(f"streams[0].responses[0]{said}")


@pytest.mark.parametrize(
    ("options", "paginator", "said"),
    [
        (
            "path: /a",
            "{ type: page_number, page_body_path: page }",
            "found page_body_path with the method get, allowed: method: post",
        ),
        (
            "path: /a",
            "{ type: header_link, stop_when: { page: short } }",
            "found stop_when: { page: short } without a size, allowed: with page_size or limit",
        ),
        (
            "method: post, json: { page: 1 }",
            "{ type: page_number, page_body_path: page.number }",
            "found page with a value of its own in json, allowed: a mapping for page_body_path",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(options: str, paginator: str, said: str):
    assert one_stream_refused(options, paginator) == f"streams[0]: {said}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("method: put", "[0].method: found 'put', allowed: 'get' or 'post'"),
        ("json: { a: 1 }", "[0]: found json with the method get, allowed: method: post"),
        ("form: { a: 1 }", "[0]: found form with the method get, allowed: method: post"),
        ("json: {}, form: {}, method: post", "[0]: found both json and form, allowed: one of them"),
        ("json: [1], method: post", "[0].json: found a list, allowed: a mapping"),
        (
            "json: { since: [2026-01-01] }, method: post",
            "[0].json: found a date at since[0], allowed: what JSON knows (put quotes around it)",
        ),
        ("json: { a: { 1: b } }, method: post", "[0].json: found the key 1 at a, allowed: a text"),
        ("json: { a: .nan }, method: post", "[0].json: found nan at a, allowed: a number that JSON knows"),
        (
            'json: { a: [{ b: "{credentials.token}" }] }, method: post',
            "[0].json: found {credentials.token}, allowed: {user.…}, {params.…}",
        ),
        (
            "page_size: { param: limit, value: 100, location: body }",
            "[0]: found page_size.location: body with the method get, allowed: method: post",
        ),
        ("page_size: { param: limit, value: 0 }", "[0].page_size.value: found 0, allowed: greater than or equal to 1"),
        (
            "page_size: { param: limit, value: 100, maximum: 50 }",
            "[0].page_size: found a value of 100, allowed: 1 to 50",
        ),
        (
            "page_size: { param: limit, value: 5, minimum: 10 }",
            "[0].page_size: found a value of 5, allowed: at least 10",
        ),
        (
            "page_size: { param: a..b, value: 5 }",
            "[0].page_size.param: found 'a..b', allowed: names with dots between them, such as page.after",
        ),
        ("json_body: {}, method: post", "[0].json_body: found an unknown key, allowed: decoder, deleted, emit, "),
    ],
)
def test_a_request_that_can_not_be_made_is_refused(options: str, said: str):
    assert one_stream_refused(options).startswith(f"streams{said}")


def one_stream_refused(options: str, paginator: str = "{ type: single_page }") -> str:
    """What is said about a stream with these options, without file and line."""
    text = (
        "pipeline: p\nsource: { base_url: https://a, auth: { type: none } }\n"
        f"streams: [{{ name: s, paginator: {paginator}, {options} }}]"
    )
    said = refusal(text)
    assert said.startswith("social.yaml:3: ")
    assert said.count("\n") == 0
    return said.removeprefix("social.yaml:3: ")


def refusal(text: str) -> str:
    with pytest.raises(InvalidPipeline) as refused:
        load_text(text, "social.yaml")
    return str(refused.value)

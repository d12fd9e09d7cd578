"""Pipeline files: what is right is read, what is wrong is one clear line."""

from pathlib import Path

import pytest

from shared.errors import InvalidPipeline
from shared.messages import Priority
from shared.pipeline.loader import load_file, load_folder, load_text
from shared.pipeline.spec import ApiKey, Cursor, PageNumber

GOOD = """\
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: { type: bearer, token: "{credentials.token}" }
streams:
  - name: posts
    path: /me/posts
    query: { limit: 100 }
    records: data
    primary_key: id
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
"""


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def refusal(text: str) -> str:
    with pytest.raises(InvalidPipeline) as refused:
        load_text(text, "social.yaml")
    return str(refused.value)


def test_a_pipeline_is_read_with_its_defaults():
    pipeline = load_text(GOOD, "social.yaml")
    stream = pipeline.stream("posts")
    assert stream is not None
    assert stream.primary_key == ("id",)
    assert stream.paginator == Cursor(type="cursor", cursor_path="next", cursor_param="after")
    assert (stream.emit, stream.max_pages, stream.repeated_cursor_limit) == ("changed", 100_000, 5)
    assert (pipeline.priority, pipeline.schedule) == (Priority.NORMAL, "0 0 * * * *")
    assert pipeline.credentials == {"token"}
    assert pipeline.params == frozenset()
    assert pipeline.stream("likes") is None


def test_every_option_can_be_set():
    pipeline = load_text(
        """
        pipeline: orders-2
        schedule: "0 */15 * * * *"
        priority: high
        source:
          base_url: "{params.base_url}"
          auth: { type: api_key, name: X-Key, key: "{credentials.key}", location: query }
          headers: { X-Shop: "{params.shop}" }
          allowed_origins: ["https://cdn.example.com"]
        streams:
          - name: orders
            path: "/{user.id}/orders"
            records: "items[].order"
            primary_key: [id, line]
            emit: new
            error_path: problem
            max_pages: 7
            repeated_cursor_limit: 1
            paginator: { type: page_number, page_param: p, base_page: 0, total_path: pages }
        """,
        "orders.yaml",
    )
    assert isinstance(pipeline.source.auth, ApiKey)
    assert pipeline.streams[0].paginator == PageNumber(
        type="page_number", page_param="p", base_page=0, total_path="pages"
    )
    assert pipeline.credentials == {"key"}
    assert pipeline.params == {"base_url", "shop"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # what is there, and should not be
        (GOOD + "strems: []\n", "12: strems: found an unknown key, allowed: pipeline, priority, schedule, source, "),
        (
            GOOD + "    emits: all\n",
            "12: streams[0].emits: found an unknown key, allowed: emit, error_path, form, headers, ",
        ),
        (
            changed("token: ", "tokn: x, token: "),
            "4: source.auth.tokn: found an unknown key, allowed: token, type",
        ),
        (
            changed("cursor_param: after", "cursor_param: after, page_param: p"),
            "11: streams[0].paginator.page_param: found an unknown key, allowed: "
            "cursor_body_path, cursor_header, cursor_param, cursor_path, cursor_record_path, cursor_request_header, "
            "stop_when, type",
        ),
        (GOOD + "    path: /other\n", "12: streams[0].path: found the key twice, allowed: once"),
        (GOOD + "1: x\n", "12: 1: found the key 1, allowed: a text"),
        (
            GOOD + "  - { name: posts, paginator: { type: single_page } }\n",
            "5: streams: found two streams named 'posts', allowed: one name for one stream",
        ),
        # what is missing
        (changed("pipeline: social\n", ""), "1: pipeline: found nothing, allowed: this key must be there"),
        (changed("    path: /me", "    pathh: /me"), "7: streams[0].pathh: found an unknown key, allowed: "),
        (
            changed("cursor_path: next, ", ""),
            "11: streams[0].paginator: found none, allowed: one of cursor_path, cursor_header, cursor_record_path",
        ),
        (changed("type: cursor, ", ""), "11: streams[0].paginator: found no type, allowed: a mapping with a type"),
        (GOOD.split("streams:")[0] + "streams: []\n", "5: streams: found an empty list, allowed: at least 1"),
        # wrong type or value
        (changed("type: cursor", "type: curser"), "11: streams[0].paginator: found 'curser', allowed: 'single_page', "),
        (changed("type: bearer", "type: digest"), "4: source.auth: found 'digest', allowed: 'bearer', 'api_key', "),
        (
            changed("{ type: cursor, cursor_path: next, cursor_param: after }", "cursor"),
            "11: streams[0].paginator: found 'cursor', allowed: a mapping",
        ),
        (changed("name: posts", "name: no"), "6: streams[0].name: found False, allowed: a text"),
        (changed("name: posts", "name: Posts"), "6: streams[0].name: found 'Posts', allowed: a lower-case letter, "),
        (changed("limit: 100", "limit: [1]"), "8: streams[0].query.limit: found a list, allowed: a text or a whole "),
        (changed("limit: 100", "limit: "), "8: streams[0].query.limit: found nothing, allowed: a text or a whole "),
        (GOOD + "    max_pages: many\n", "12: streams[0].max_pages: found 'many', allowed: a whole number"),
        (GOOD + "    max_pages: 1.5\n", "12: streams[0].max_pages: found 1.5, allowed: a whole number"),
        (GOOD + "    max_pages: yes\n", "12: streams[0].max_pages: found True, allowed: a whole number"),
        (GOOD + "    max_pages: 0\n", "12: streams[0].max_pages: found 0, allowed: greater than or equal to 1"),
        (GOOD + "    emit: old\n", "12: streams[0].emit: found 'old', allowed: 'changed', 'new' or 'all'"),
        (GOOD + "priority: urgent\n", "12: priority: found 'urgent', allowed: 'high', 'normal' or 'low'"),
        (changed("primary_key: id", "primary_key: { a: 1 }"), "10: streams[0].primary_key: found a mapping, allowed: "),
        (
            changed('"{credentials.token}"', "{credentials.token}"),
            "4: source.auth.token: found a mapping, allowed: a text",
        ),
        # text that must mean something
        (changed("records: data", "records: 'data['"), "9: streams[0].records: found 'data[', allowed: a JMESPath "),
        (GOOD + 'schedule: "* * * * *"\n', "12: schedule: found '* * * * *', allowed: an NCRONTAB of six fields"),
        (GOOD + 'schedule: "0 99 * * * *"\n', "12: schedule: found '0 99 * * * *', allowed: an NCRONTAB of six fields"),
        (changed("https://api", "ftp://api"), "3: source.base_url: found 'ftp://api.example.com/v1', allowed: http"),
        (
            changed("  auth:", "  allowed_origins: [https://a.example/x]\n  auth:"),
            "4: source.allowed_origins[0]: found 'https://a.example/x', allowed: https://HOST without a path",
        ),
        (
            changed("limit: 100", 'token: "{credentials.token}"'),
            "8: streams[0].query.token: found {credentials.token}, allowed: {user.…}, {params.…}",
        ),
        (changed("/me/posts", '"/{user.name}"'), "7: streams[0].path: found {user.name}, allowed: {user.id}"),
        (changed("credentials.token", "secrets.token"), "4: source.auth.token: found {secrets.token}, allowed: "),
    ],
)
def test_a_mistake_is_one_line_with_file_line_path_found_and_allowed(text: str, line: str):
    """One line for one mistake: an editor jumps to it, and nothing has to be looked up."""
    said = refusal(text)
    assert said.startswith(f"social.yaml:{line}")
    assert said.count("\n") == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1: found nothing, allowed: a mapping with pipeline, source, streams"),
        ("hello", "1: found 'hello', allowed: a mapping with pipeline, source, streams"),
        ("- 1", "1: found a list, allowed: a mapping with pipeline, source, streams"),
        ("a: [1\nb: }", "2: not YAML: "),
        ("a:\n\tb: 1", "2: not YAML: found character '\\t' that cannot start any token"),
        ("a: 1\nb: \x00", "2: not YAML: unacceptable character #x0000"),
        ("a: !!python/object:os.system {}", "1: not YAML: could not determine a constructor"),
        ("a: 1\n---\na: 2", "2: not YAML: "),
        ("a: *missing", "1: not YAML: found undefined alias"),
        ("? [a]\n: 1", "1: not YAML: found unhashable key"),
        ("a: &a [*a]", "1: found endless or very deep nesting, allowed: plain values"),
        ("a: " + "[" * 1000, "1: found endless or very deep nesting, allowed: plain values"),
    ],
)
def test_what_is_no_pipeline_at_all_is_one_line_too(text: str, line: str):
    assert refusal(text).startswith(f"social.yaml:{line}")
    assert refusal(text).count("\n") == 0


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order():
    said = refusal(changed("type: bearer", "type: digest") + "    emit: old\nextra: 1\n").splitlines()
    assert [line.split(" ")[0] for line in said] == ["social.yaml:4:", "social.yaml:12:", "social.yaml:13:"]


def test_a_literal_brace_text_is_no_placeholder():
    """Some APIs have braces in their queries."""
    pipeline = load_text(changed("limit: 100", 'fields: "comments{message,from}"'), "social.yaml")
    assert pipeline.streams[0].query == {"fields": "comments{message,from}"}


def test_a_folder_is_read_whole(tmp_path: Path):
    (tmp_path / "social.yaml").write_text(GOOD)
    (tmp_path / "mail.yml").write_text(changed("pipeline: social", "pipeline: mail"))
    (tmp_path / "README.md").write_text("no pipeline")
    assert sorted(load_folder(tmp_path)) == ["mail", "social"]


def test_the_mistakes_of_all_files_are_told_at_once(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD + "x: 1\n")
    (tmp_path / "b.yaml").write_text(GOOD)
    (tmp_path / "c.yaml").write_text(GOOD)
    with pytest.raises(InvalidPipeline) as refused:
        load_folder(tmp_path)
    first, second = str(refused.value).splitlines()
    assert first.startswith(f"{tmp_path}/a.yaml:12: x: found an unknown key")
    assert second == (
        f"{tmp_path}/c.yaml: pipeline: found 'social', which another file has; allowed: a name of its own"
    )


def test_a_folder_without_pipelines_is_a_mistake(tmp_path: Path):
    with pytest.raises(InvalidPipeline, match=r"found no pipeline file, allowed: at least one \*.yaml"):
        load_folder(tmp_path)
    with pytest.raises(InvalidPipeline, match="found no folder, allowed: a folder of pipeline files"):
        load_folder(tmp_path / "nowhere")


def test_a_file_that_can_not_be_read_is_a_mistake(tmp_path: Path):
    (tmp_path / "latin.yaml").write_bytes(b"pipeline: caf\xe9")
    with pytest.raises(InvalidPipeline, match="found bytes that are not UTF-8, allowed: YAML in UTF-8"):
        load_file(tmp_path / "latin.yaml")
    with pytest.raises(InvalidPipeline, match="found No such file or directory, allowed: a readable pipeline file"):
        load_file(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ("{ type: headers, headers: { A: b }, token: c }", "auth.token: found an unknown key, allowed: headers, type"),
        ("{ type: headers, headers: {} }", "auth.headers: found a mapping, allowed: at least 1"),
        ("{ type: headers }", "auth.headers: found nothing, allowed: this key must be there"),
        ('{ type: headers, headers: { A: "{x.y}" } }', "auth.headers.A: found {x.y}, allowed: {user.…}"),
    ],
)
def test_a_type_that_is_called_like_a_key_is_not_mistaken_for_it(auth: str, said: str):
    text = (
        f"pipeline: p\nsource: {{ base_url: https://a, auth: {auth} }}\n"
        "streams: [{ name: s, paginator: { type: single_page } }]"
    )
    with pytest.raises(InvalidPipeline) as caught:
        load_text(text, "p.yaml")
    assert f"p.yaml:2: source.{said}" in str(caught.value)


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
        ("type: cursor, cursor_path: a", f": found none, {SENT}"),
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
        ("status: 429, means: page, wait: { header: X }", ": found wait with page, allowed: with rate_limited or temp"),
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
        ("json_body: {}, method: post", "[0].json_body: found an unknown key, allowed: emit, error_path, form, "),
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

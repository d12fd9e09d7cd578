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


def test_a_salt_names_what_every_user_must_bring():
    salt = "{credentials.salt}{params.pepper}"
    options = f'    transforms: [{{ type: redact, fields: [a], method: hash, salt: "{salt}" }}]\n'
    pipeline = load_text(GOOD + options, "social.yaml")
    assert pipeline.credentials == {"token", "salt"}
    assert pipeline.params == {"pepper"}


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
        (
            GOOD + "strems: []\n",
            "12: strems: found an unknown key, allowed: off_peak, outputs, pipeline, priority, sche",
        ),
        (
            GOOD + "    emits: all\n",
            "12: streams[0].emits: found an unknown key, allowed: decoder, deleted, emit, error_path, ",
        ),
        (
            changed("token: ", "tokn: x, token: "),
            "4: source.auth.tokn: found an unknown key, allowed: token, type",
        ),
        (
            changed("cursor_param: after", "cursor_param: after, page_param: p"),
            "11: streams[0].paginator.page_param: found an unknown key, allowed: "
            "cursor_body_path, cursor_header, cursor_param, cursor_path, cursor_record_path, cursor_request_header, "
            "initial_cursor, stop_when, type",
        ),
        (GOOD + "    path: /other\n", "12: streams[0].path: found the key twice, allowed: once"),
        (GOOD + "1: x\n", "12: 1: found the key 1, allowed: a text"),
        (
            GOOD + "  - { name: posts, paginator: { type: single_page } }\n",
            "5: streams: found two streams named 'posts', allowed: one name for one stream",
        ),
        (
            changed("    primary_key: id\n", "    ignore_changes: [views]\n"),
            "6: streams[0]: found ignore_changes without a primary_key, allowed: beside one",
        ),
        (
            changed("    primary_key: id\n", "    deleted: { path: gone }\n"),
            "6: streams[0]: found deleted without a primary_key, allowed: beside one",
        ),
        (
            GOOD + "    ignore_changes: [a..b]\n",
            "12: streams[0].ignore_changes[0]: found 'a..b', allowed: names of fields with dots between them, ",
        ),
        (
            GOOD + "    deleted: { value: x }\n",
            "12: streams[0].deleted.path: found nothing, allowed: this key must be ",
        ),
        (
            GOOD + "    transforms: [{ type: redact, fields: [a], method: hash }]\n",
            "12: streams[0].transforms[0]: found no salt with the method hash, allowed: a salt with hash, none ",
        ),
        (
            GOOD + "    transforms: [{ type: redact, fields: [a], salt: x }]\n",
            "12: streams[0].transforms[0]: found a salt with the method mask, allowed: a salt with hash, none ",
        ),
        (
            GOOD + "    transforms: [{ type: rename, fields: { a: c, b: c.d } }]\n",
            "12: streams[0].transforms[0].fields: found 'c.d' in the place of another field, allowed: a place ",
        ),
        (
            GOOD + "    transforms: [{ type: rename, fields: { a: b. } }]\n",
            "12: streams[0].transforms[0].fields.a: found 'b.', allowed: names of fields with dots between them, ",
        ),
        (
            GOOD + "    transforms: [{ type: select, fields: [] }]\n",
            "12: streams[0].transforms[0].fields: found an empty list, allowed: at least 1",
        ),
        (
            GOOD + "    transforms: [{ type: hide, fields: [a] }]\n",
            "12: streams[0].transforms[0]: found 'hide', allowed: 'select', 'drop', 'rename', 'redact'",
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

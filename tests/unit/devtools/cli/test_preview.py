"""`headframe preview` against a real server."""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from devtools.cli.app import app
from shared.errors import BadInput
from tests.unit.devtools.cli.served import served

CANARY = "canary/T0ken+of&ann=="
IN_URL = quote(CANARY, safe="")
IN_SMALL = re.sub("%..", lambda code: code.group().lower(), IN_URL)
BASIC = base64.b64encode(f"ann:{CANARY}".encode()).decode()
BEARER = '{ type: bearer, token: "{credentials.token}" }'
CURSOR = "{ type: cursor, cursor_path: next, cursor_param: after }"

Answer = Callable[[web.Request], web.Response]


@dataclass
class Stage:
    """A server that answers as it is told, and a pipeline file that leads to it."""

    folder: Path
    base: str = ""
    asked: list[web.Request] = field(default_factory=list)
    answer: Answer = lambda request: web.json_response({"data": []})

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return self.answer(request)

    def file(self, auth: str = BEARER, paginator: str = CURSOR, more: str = "", base: str | None = None) -> Path:
        file = self.folder / "shop.yaml"
        file.write_text(
            f"pipeline: shop\nsource:\n  base_url: {base or self.base}\n  auth: {auth}\n"
            f"streams:\n  - name: orders\n    path: /orders\n    records: data\n    paginator: {paginator}\n{more}"
        )
        return file

    def preview(self, *arguments: object, file: Path | None = None, secret: str = CANARY) -> Result:
        given = [file or self.file(), "--user", "ann", "--credential", f"token={secret}", *arguments]
        return CliRunner().invoke(app, ["preview", *map(str, given)])

    def pages(self, *arguments: object, file: Path | None = None) -> list[dict]:
        result = self.preview("--json", *arguments, file=file)
        assert_hidden(result.output)
        return json.loads(result.stdout)["pages"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    with served(stage.handle) as stage.base:
        yield stage


def assert_hidden(text: str) -> None:
    """Neither the secret nor any of the forms it takes on the way."""
    for form in (CANARY, IN_URL, IN_SMALL, BASIC, "T0ken", CANARY[:8]):
        assert form not in text
    assert base64.b64encode(CANARY.encode()).decode() not in text


def said(result: Result) -> str:
    assert_hidden(result.output)
    return result.output


def shop(request: web.Request) -> web.Response:
    page = int(request.query.get("after", "1"))
    following = str(page + 1) if page < 3 else None
    return web.json_response({"data": [{"id": page * 10 + n, "name": "x" * 60} for n in range(12)], "next": following})


def test_a_page_is_shown_with_its_request_its_records_and_the_next_request(stage: Stage):
    stage.answer = shop
    result = stage.preview()
    shown = said(result)
    assert result.exit_code == 0
    assert f"page 1: GET {stage.base}/orders\n  Authorization: [hidden]\n" in shown
    assert "answer: 200 OK, " in shown
    assert "content-type: application/json" in shown
    assert "a page of 12 records (the first 10)" in shown
    assert "10  xxxx" in shown
    assert "x…" in shown
    assert shown.count("xxxx…") == 10
    assert f"cursor: 2\nnext: GET {stage.base}/orders?after=2" in shown
    assert stage.asked[0].headers["Authorization"] == f"Bearer {CANARY}"
    assert len(stage.asked) == 1


def test_several_pages_are_followed_to_the_end_and_no_further(stage: Stage):
    stage.answer = shop
    shown = said(stage.preview("--pages", 9))
    assert shown.count("a page of 12 records") == 3
    assert shown.rstrip().endswith("next: none, the run ends here")
    assert [request.query.get("after") for request in stage.asked] == [None, "2", "3"]


def test_a_relative_next_link_is_resolved_and_loses_the_credential(stage: Stage):
    def linked(request: web.Request) -> web.Response:
        last = "page" in request.query
        link = f"../orders/?page=2&key={IN_URL}"
        return web.json_response({"data": [{"id": 1}], "next": None if last else link})

    stage.answer = linked
    auth = '{ type: api_key, name: key, key: "{credentials.token}", location: query }'
    file = stage.file(auth, "{ type: json_link, next_url_path: next }")
    first, second = stage.pages("--pages", 2, file=file)
    assert first["request"]["url"] == f"{stage.base}/orders?key=[hidden]"
    assert first["cursor"] == f"{stage.base}/orders/?page=2"
    assert first["next"]["url"] == second["request"]["url"] == f"{stage.base}/orders/?page=2&key=[hidden]"
    assert second["cursor"] is None
    assert [request.query["key"] for request in stage.asked] == [CANARY, CANARY]


def test_a_body_is_shown_as_it_is_sent_but_for_the_credential(stage: Stage):
    auth = '{ type: api_key, name: auth.key, key: "{credentials.token}", location: body }'
    file = stage.file(auth, more="    method: post\n    json: { name: é }\n")
    (page,) = stage.pages(file=file)
    assert json.loads(page["request"]["content"]) == {"name": "é", "auth": {"key": "[hidden]"}}
    assert len(stage.asked) == 1


def test_a_refused_credential_is_told_with_what_follows_and_where_to_look(stage: Stage):
    stage.answer = lambda request: web.json_response({"error": CANARY}, status=401)
    result = stage.preview()
    shown = said(result)
    assert result.exit_code == 1
    assert "answer: 401 Unauthorized" in shown
    assert "invalid_credential: the credential was refused: status 401" in shown
    assert "would not try again; it would park as invalid_credential until the user has a new credential" in shown
    assert "shop.yaml: source.auth (type bearer), or the user's credential itself" in shown


def test_a_source_that_throttles_is_waited_for_as_it_asks(stage: Stage):
    stage.answer = lambda request: web.Response(status=429, headers={"Retry-After": "20"})
    (page,) = stage.pages()
    assert page["response"]["headers"]["retry-after"] == "20"
    assert page["error"]["kind"] == "rate_limited"
    assert page["error"]["then"] == (
        "the miner would retry after 20.5 s, as the source asks, up to 50 times, then park as rate_limited"
    )


@pytest.mark.parametrize(
    ("policy", "then"),
    [
        ("{ max_retries: 0 }", "the miner would not try again; it would park as temporary"),
        (
            "{ max_retries: 2, mode: fail, jitter: false, first: 7s }",
            "retry after 7 s, up to 2 times, then end the run",
        ),
    ],
)
def test_what_the_file_says_about_failures_counts(stage: Stage, policy: str, then: str):
    stage.answer = lambda request: web.Response(status=503)
    (page,) = stage.pages(file=stage.file(more=f"    on_error: {policy}\n"))
    assert then in page["error"]["then"]


def test_a_web_page_instead_of_json_is_told_with_its_beginning(stage: Stage):
    stage.answer = lambda request: web.Response(text=f"<html>{CANARY}</html>", content_type="text/html")
    shown = said(stage.preview())
    assert "malformed: status 200 with " in shown
    assert "source.base_url or streams[0].path, which lead to no JSON API: the body begins '<html>[hidden]<" in shown


@pytest.mark.parametrize("before", range(180, 201, 4))
def test_no_half_of_a_secret_is_shown_where_a_body_is_cut_off(stage: Stage, before: int):
    stage.answer = lambda request: web.Response(text="." * before + CANARY, content_type="text/html")
    (page,) = stage.pages()
    assert "can" not in page["error"]["look_at"].partition("begins")[2]


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (
            {"items": [], "meta": {"per page": [1]}},
            "streams[0].records is 'data'; the body has the keys items, meta; lists are at: items, meta.\"per page\"",
        ),
        (
            {"error": None, "data": {"a": 1}},
            "streams[0].records is 'data'; the body has the keys error, data; it has no",
        ),
        (
            [1],
            "streams[0].records is 'data'; the body is a list of 1; lists are at: the body itself (leave records out)",
        ),
        ({"data": [1], "next": {}}, "streams[0].paginator.cursor_path; the body has the keys data, next"),
    ],
)
def test_a_body_of_another_shape_is_told_with_the_key_to_look_at(stage: Stage, body: object, hint: str):
    stage.answer = lambda request: web.json_response(body)
    (page,) = stage.pages()
    assert page["error"]["kind"] == "malformed"
    assert page["error"]["look_at"].startswith(hint)


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "streams[0].path, or"), (400, "streams[0].query, or"), (302, "redirects are not followed, and this one")],
)
def test_a_refused_request_names_the_key_that_its_status_speaks_of(stage: Stage, status: int, hint: str):
    stage.answer = lambda request: web.Response(status=status, headers={"Location": f"/login?token={CANARY}"})
    (page,) = stage.pages()
    assert hint in page["error"]["look_at"]


def test_a_server_that_is_not_there_is_told(stage: Stage):
    result = stage.preview(file=stage.file(base="http://127.0.0.1:1"))
    assert result.exit_code == 1
    assert "temporary: the connection failed: ConnectionRefusedError" in said(result)
    assert "source.base_url, if this stays so: nothing answers there" in result.output


def test_a_next_link_that_leads_elsewhere_is_told_behind_its_page(stage: Stage):
    stage.answer = lambda request: web.json_response({"data": [{"id": 1}], "next": "https://evil.example/x"})
    (page,) = stage.pages(file=stage.file(paginator="{ type: json_link, next_url_path: next }"))
    assert page["count"] == 1
    assert page["error"]["look_at"] == "source.allowed_origins, or streams[0].paginator"


def test_a_source_that_goes_round_in_circles_is_not_followed(stage: Stage):
    stage.answer = lambda request: web.json_response({"data": [{"id": 1}], "next": "same"})
    pages = stage.pages("--pages", 50)
    assert len(pages) == 2
    assert pages[-1]["error"]["kind"] == "cursor_loop"


@pytest.mark.parametrize("cursor", ["http://[a", "a?b&c=1", "x y/%2F", "https://a.example/?a=1&b"])
def test_a_cursor_of_any_text_is_shown_as_it_is(stage: Stage, cursor: str):
    stage.answer = lambda request: web.json_response({"data": [{"id": 1}], "next": cursor})
    assert stage.pages()[0]["cursor"] == cursor


def test_records_without_their_key_and_an_empty_page_are_remarked(stage: Stage):
    stage.answer = lambda request: web.json_response({"data": [{"id": 1}, {"ID": 2}]})
    (page,) = stage.pages(file=stage.file(more="    primary_key: id\n"))
    assert page["remarks"] == ["streams[0].primary_key: 1 of 2 records have no 'id'"]
    stage.answer = lambda request: web.json_response({"data": []})
    assert stage.pages()[0]["remarks"] == ["streams[0].records: the list is empty"]


def test_columns_that_do_not_fit_are_named(stage: Stage):
    """A narrow one behind a wide one is still shown."""
    record = {f"column{n}": "x" * 30 for n in range(9)} | {"n": 1}
    stage.answer = lambda request: web.json_response({"data": [record]})
    shown = said(stage.preview())
    assert "3 more columns: column6, column7, column8\n" in shown
    assert f"{'x' * 30}  1" in shown


def test_nothing_in_a_record_makes_the_terminal_do_something(stage: Stage):
    stage.answer = lambda request: web.json_response({"data": [{"a": "\x1b[2J\x07", "b": "[bold]"}]})
    shown = said(stage.preview())
    assert "\x1b" not in shown
    assert "\\x1b[2J\\x07" in shown
    assert "[bold]" in shown


def test_records_nested_deeper_than_anybody_reads_are_cut(stage: Stage):
    text = f'{{"data": [{"[" * 400}{"]" * 400}]}}'
    stage.answer = lambda request: web.Response(text=text, content_type="application/json")
    (page,) = stage.pages()
    assert page["count"] == 1
    assert "…" in json.dumps(page["records"], ensure_ascii=False)


ECHOES = [
    CANARY,
    IN_URL,
    IN_SMALL,
    BASIC,
    f"Bearer {CANARY}",
    base64.b64encode(CANARY.encode()).decode(),
    "".join(f"\\u{ord(character):04X}" for character in CANARY),
    CANARY.replace("/", "\\/"),
    CANARY.replace("&", "&#38;").replace("/", "&#x2F;"),
    CANARY.replace("&", "&amp;"),
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "auth",
    [
        BEARER,
        '{ type: api_key, name: X-Key, key: "{credentials.token}" }',
        '{ type: api_key, name: api_key, key: "{credentials.token}", location: query }',
        '{ type: http_basic, username: ann, password: "{credentials.token}" }',
        '{ type: headers, headers: { X-A: "v1 {credentials.token}", X-B: b } }',
    ],
    ids=["bearer", "key in header", "key in query", "basic", "headers"],
)
def test_no_secret_is_shown_however_the_server_echoes_it(stage: Stage, echo: str, status: int, auth: str):
    headers = {"Link": f"<{stage.base}/?token={echo}>; rel=next", "X-RateLimit-Key": echo, "Set-Cookie": f"a={echo}"}
    body = {"data": [{"id": echo, echo: [{"deep": echo}]}], "next": echo, "error": {"code": echo}}
    stage.answer = lambda request: web.json_response(body, status=status, headers=headers)
    file = stage.file(auth)
    assert "[hidden]" in said(stage.preview(file=file))
    assert len(stage.pages(file=file)) == 1


@pytest.mark.parametrize("short", ["abc", "1234"])
def test_a_short_credential_is_hidden_too(stage: Stage, short: str):
    stage.answer = lambda request: web.json_response({"data": [{"id": "row", "token": short}]})
    assert short not in stage.preview(secret=short).stdout.replace(stage.base, "")


def test_the_user_may_come_from_a_file_and_options_count_more(stage: Stage):
    users = stage.folder / "users.jsonl"
    users.write_text(
        json.dumps({"user": "bob", "credentials": {"token": "bobs-token"}})
        + "\n"
        + json.dumps({"user": "ann", "credentials": {"token": CANARY}, "params": {"shop": "s1"}})
    )
    file = stage.file(more='    query: { shop: "{params.shop}", me: "{user.id}" }\n')
    arguments = [str(file), "--user", "ann", "--users", str(users)]
    for more, shop_of in (([], "s1"), (["--param", "shop=s2"], "s2")):
        result = CliRunner().invoke(app, ["preview", *arguments, *more])
        assert f"GET {stage.base}/orders?shop={shop_of}&me=ann" in said(result)
        assert stage.asked[-1].headers["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize("where", ["@env:SHOP_TOKEN", "@file:{folder}/token", "@file:-"])
def test_a_credential_need_not_stand_on_the_command_line(stage: Stage, where: str):
    (stage.folder / "token").write_text(f"{CANARY}\n")
    given = f"token={where.format(folder=stage.folder)}"
    result = CliRunner().invoke(
        app,
        ["preview", str(stage.file()), "--user", "ann", "--credential", given],
        env={"SHOP_TOKEN": CANARY},
        input=f"{CANARY}\n",
    )
    assert result.exit_code == 0, result.output
    assert stage.asked[-1].headers["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "options: user ann: found no credential 'token', allowed: what pipeline shop names"),
        (["--credential", CANARY.rstrip("=")], "--credential: found no name or no =, allowed: NAME=VALUE, "),
        (["--credential", "token=@env:NOT_SET_ANYWHERE"], "token: found nothing in @env:NOT_SET_ANYWHERE, allowed: "),
        (["--credential", "token=@file:none"], "token: found No such file or directory at none, allowed: "),
        (["--credential", "token="], "--credential token: found nothing in an empty text, allowed: "),
        (["--stream", "carts"], "--stream: found 'carts', allowed: a stream of "),
        (["--users", "{users}"], "--user ann: found nobody of this name in "),
    ],
)
def test_bad_input_is_told_before_anything_is_asked(stage: Stage, arguments: list[str], message: str):
    users = stage.folder / "users.jsonl"
    users.write_text('{"user": "bob", "credentials": {"token": "bobs-token"}}')
    given = [argument.format(users=users) for argument in arguments]
    result = CliRunner().invoke(app, ["preview", str(stage.file()), "--user", "ann", *given])
    assert isinstance(result.exception, BadInput)
    assert message in str(result.exception)
    assert_hidden(str(result.exception))
    assert stage.asked == []


def test_a_first_run_of_an_incremental_stream_asks_from_its_initial_value(stage: Stage):
    more = (
        "    incremental: { cursor_path: changed, start_param: since, end_param: until, initial_value: 2026-01-01 }\n"
        "    windows: { type: fixed, size: 1d }\n"
    )
    (page,) = stage.pages(file=stage.file(more=more))
    assert page["request"]["url"].endswith("since=2026-01-01T00%3A00%3A00Z&until=2026-01-02T00%3A00%3A00Z")


def test_the_server_of_these_tests_runs_in_a_thread_that_ends(tmp_path: Path):
    stage = Stage(tmp_path)
    before = threading.active_count()
    with served(stage.handle):
        assert threading.active_count() > before
    assert threading.active_count() == before

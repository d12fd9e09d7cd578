"""`headframe init` writes files that load, say what they mean, and are written over by nobody."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner, Result

from devtools.cli.app import app
from devtools.cli.init_draft import AUTH, PAGINATORS
from devtools.places import ROOT
from shared.errors import BadInput
from shared.pipeline.loader import load_file, load_text
from shared.pipeline.spec import Auth, Paginator, Pipeline

DOCUMENT = Path(__file__).with_name("shop_openapi.yaml")
GIVEN = ["--base-url", "https://api.example.com/v1", "--stream", "orders:/orders"]


def types_of(union: Any) -> set[str]:
    return {get_args(member.model_fields["type"].annotation)[0] for member in get_args(get_args(union)[0])}


def init(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["init", *map(str, arguments)])


def written(file: Path, *arguments: object) -> Pipeline:
    result = init(*arguments, "-o", file)
    assert result.exit_code == 0, result.exception
    checked = CliRunner().invoke(app, ["validate", str(file)])
    assert checked.exit_code == 0, checked.exception
    return load_file(file)


def refusal(*arguments: object) -> str:
    result = init(*arguments)
    assert isinstance(result.exception, BadInput)
    return str(result.exception)


def test_every_kind_of_paginator_and_authentication_has_a_template():
    """A new model needs one in devtools/cli/init_draft.py; a class of somebody's own has none."""
    assert PAGINATORS.keys() == types_of(Paginator) - {"custom"}
    assert AUTH.keys() == types_of(Auth) - {"custom"}


@pytest.mark.parametrize("paginator", PAGINATORS)
@pytest.mark.parametrize("auth", AUTH)
def test_every_combination_is_a_valid_file(tmp_path: Path, auth: str, paginator: str):
    pipeline = written(tmp_path / "shop.yaml", "shop", *GIVEN, "--auth", auth, "--paginator", paginator)
    assert pipeline.source.auth.type == auth
    assert [(stream.name, stream.path) for stream in pipeline.streams] == [("orders", "/orders")]
    assert pipeline.streams[0].paginator.type == paginator
    assert pipeline.streams[0].records == ()


@pytest.mark.parametrize("paginator", PAGINATORS)
def test_what_is_commented_out_is_valid_too(tmp_path: Path, paginator: str):
    """But for the cursor's header, which takes the place of its path."""
    file = tmp_path / "shop.yaml"
    written(file, "shop", *GIVEN, "--paginator", paginator)
    text = (
        file.read_text().replace("      cursor_path: next_cursor\n", "") if paginator == "cursor" else file.read_text()
    )
    options = ("schedule", "headers", "query", "records", "primary_key", "total_path", "cursor_header")
    for option in options:
        text = text.replace(f"# {option}: ", f"{option}: ")
    stream = load_text(text, "shop.yaml").streams[0]
    assert (stream.records, stream.primary_key, stream.query) == (("data",), ("id",), {"limit": 100})


def test_several_streams_and_the_path_of_their_records_are_taken_from_options(tmp_path: Path):
    more = ["--stream", "carts:/{user.id}/carts", "--records", '"the data"[]']
    pipeline = written(tmp_path / "shop.yaml", "shop", *GIVEN, *more)
    assert [stream.path for stream in pipeline.streams] == ["/orders", "/{user.id}/carts"]
    assert {stream.records for stream in pipeline.streams} == {('"the data"[]',)}


def test_the_file_is_called_like_the_pipeline_and_the_next_step_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    result = init("shop", *GIVEN)
    assert result.stdout == "wrote shop.yaml (streams: orders)\n"
    assert result.stderr == "next: headframe preview shop.yaml --user u01 --credential token=@env:TOKEN\n"
    assert load_file(tmp_path / "shop.yaml").pipeline == "shop"


def test_a_file_that_is_there_is_written_over_by_force_only(tmp_path: Path):
    file = tmp_path / "shop.yaml"
    file.write_text("mine")
    assert refusal("shop", *GIVEN, "-o", file) == (
        f"{file}: found a file, allowed: another name (-o FILE), or --force to write over it"
    )
    assert file.read_text() == "mine"
    assert written(file, "shop", *GIVEN, "--force").pipeline == "shop"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Shop", *GIVEN], "pipeline: found 'Shop', allowed: a lower-case letter"),
        (["shop", *GIVEN, "--auth", "digest"], "--auth: found 'digest', allowed: bearer, api_key, "),
        (["shop", *GIVEN, "--paginator", "pages"], "--paginator: found 'pages', allowed: single_page, json_link, "),
        (["shop", *GIVEN, "--stream", "carts"], "--stream: found 'carts', allowed: NAME:PATH, "),
        (["shop", *GIVEN, "--records", "data["], "records: found 'data[', allowed: a JMESPath expression"),
        (["shop", *GIVEN[:2]], "found no stream, as NAME:PATH, allowed: --base-url URL and --stream NAME:PATH, or "),
        (["shop", *GIVEN[2:]], "found no base URL, allowed: "),
        (["shop", "--openapi", "none.json"], "none.json: found No such file or directory, allowed: a readable OpenAPI"),
        (["shop", "--openapi", "{here}/old.json"], "old.json: found version 2.0, allowed: an OpenAPI document of ver"),
        (["shop", "--openapi", "{here}/list.yaml"], "list.yaml: found no version, allowed: "),
        (["shop", "--openapi", "{here}/bad.json"], "bad.json: found neither JSON nor YAML, allowed: "),
        (["shop", "--openapi", "{here}/bare.json"], "--openapi: found no GET operation that answers with a list"),
        (["shop", *GIVEN, "--openapi", "{here}/bare.json"], "--openapi: found with --stream, --records or --paginator"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(tmp_path: Path, arguments: list[str], message: str):
    (tmp_path / "old.json").write_text('{"swagger": "2.0"}')
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "bad.json").write_text("{,")
    (tmp_path / "bare.json").write_text('{"openapi": "3.0.0", "paths": {"/me": {"get": {}}, "/x": null}}')
    file = tmp_path / "new.yaml"
    assert message in refusal(*(argument.format(here=tmp_path) for argument in arguments), "-o", file)
    assert not file.exists()


def test_what_is_missing_is_asked_for_on_a_terminal(tmp_path: Path):
    """A default is taken with Enter alone."""
    here, terminal = pty.openpty()
    command = [sys.executable, "-c", "from devtools.cli.app import main; main()", "init", "shop"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_here(), text=True
    )
    try:
        os.write(here, b"https://api.example.com\napi_key\norders:/orders\n\njson_link\n")
        _, asked = process.communicate(timeout=120)
    finally:
        process.kill()
        os.close(here)
        os.close(terminal)
    pipeline = load_file(tmp_path / "shop.yaml")
    assert "paginator (single_page, json_link, " in asked
    assert (pipeline.source.base_url, pipeline.source.auth.type) == ("https://api.example.com", "api_key")
    assert (pipeline.streams[0].records, pipeline.streams[0].paginator.type) == (("data",), "json_link")


def _here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_file_inside_the_project_names_the_schema(tmp_path: Path):
    file = ROOT / ".headframe" / f"init-{os.getpid()}.yaml"
    file.parent.mkdir(exist_ok=True)
    try:
        written(file, "shop", *GIVEN)
        assert file.read_text().startswith("# yaml-language-server: $schema=../docs/pipeline.schema.json\n")
    finally:
        file.unlink(missing_ok=True)


# OpenAPI


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, str]:
    """The pipeline that a realistic document leads to, and its text."""
    file = tmp_path_factory.mktemp("openapi") / "shop.yaml"
    return written(file, "shop", "--openapi", DOCUMENT), file.read_text()


def test_server_and_authentication_are_those_of_the_document(shop: tuple[Pipeline, str]):
    source = shop[0].source
    assert source.base_url == "https://eu.shop.example/v2"
    assert source.auth.model_dump() == {
        "type": "api_key",
        "name": "api_key",
        "key": "{credentials.key}",
        "location": "query",
    }


def test_the_streams_are_the_operations_that_answer_with_lists(shop: tuple[Pipeline, str]):
    """Neither a single object, nor another format than JSON, nor what leads nowhere; names are made different."""
    assert [
        (stream.name, stream.records[0] if stream.records else None, stream.primary_key) for stream in shop[0].streams
    ] == [
        ("orders", "data", ("id",)),
        ("orders_line_items", None, ()),
        ("customers", "customers", ("uuid",)),
        ("products", "value", ("id",)),
        ("events", "data", ("id",)),
        ("stock", "by_place", ("id",)),
        ("stock_2", None, ()),
    ]


def test_pages_are_followed_as_parameters_and_properties_suggest(shop: tuple[Pipeline, str]):
    found = {
        stream.name: stream.paginator.model_dump(exclude={"type", "stop_when", "limit_param"}, exclude_none=True)
        for stream in shop[0].streams
    }
    assert found == {
        "orders": {"cursor_path": "meta.nextPageToken", "cursor_param": "pageToken"},
        "orders_line_items": {},
        "customers": {"page_param": "page", "base_page": 0, "total_path": "meta.total_pages"},
        "products": {"next_url_path": '"@odata.nextLink"'},
        "events": {"cursor_path": "data[-1].id", "cursor_param": "starting_after"},
        "stock": {"offset_param": "offset", "base_offset": 0, "total_path": "total"},
        "stock_2": {},
    }
    kinds = [stream.paginator.type for stream in shop[0].streams]
    assert kinds == ["cursor", "header_link", "page_number", "json_link", "cursor", "offset", "single_page"]


def test_pages_are_made_large_and_what_must_be_sent_is_sent(shop: tuple[Pipeline, str]):
    by_name = {stream.name: stream for stream in shop[0].streams}
    assert by_name["orders"].query == {"shop": "{params.shop}", "status": "open", "page_size": 250}
    assert by_name["products"].query == {"$top": 1000}
    assert by_name["events"].query == {"limit": 100}
    assert by_name["orders_line_items"].path == "/orders/{params.orderId}/lineItems"


def test_what_was_guessed_is_said_in_comments_of_one_line(shop: tuple[Pipeline, str]):
    text = shop[1]
    for line in (
        "# Proposed from the OpenAPI document of Shop and more.\n",
        "  # /api/v2/orders: All orders, newest first\n",
        "# guessed: the value of status, which the source wants to have\n",
        "# guessed: meta.nextPageToken names the next page\n",
        "# guessed: the list of records is 'by_place'\n",
        "# guessed: nothing in the document looks like pages\n",
        "# each user needs a parameter orderId\n",
    ):
        assert line in text


def test_options_count_more_than_the_document(tmp_path: Path):
    given = ["--base-url", "https://test.example", "--auth", "none"]
    pipeline = written(tmp_path / "shop.yaml", "shop", "--openapi", DOCUMENT, *given)
    assert (pipeline.source.base_url, pipeline.source.auth.type) == ("https://test.example", "none")


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "http", "scheme": "Bearer"}, {"type": "bearer", "token": "{credentials.token}"}),
        (
            {"type": "http", "scheme": "basic"},
            {"type": "http_basic", "username": "{credentials.username}", "password": "{credentials.password}"},
        ),
        (
            {"type": "apiKey", "in": "header", "name": "X-Key: odd"},
            {"type": "api_key", "name": "X-Key: odd", "key": "{credentials.key}", "location": "header"},
        ),
        (
            {"type": "apiKey", "in": "cookie", "name": "sid"},
            {"type": "headers", "headers": {"Cookie": "sid={credentials.key}"}},
        ),
        ({"type": "oauth2", "flows": {}}, {"type": "bearer", "token": "{credentials.token}"}),
        ({"type": "openIdConnect"}, {"type": "bearer", "token": "{credentials.token}"}),
        (None, {"type": "none"}),
    ],
)
def test_each_security_scheme_becomes_a_way_of_authentication(
    tmp_path: Path, scheme: dict[str, Any] | None, auth: dict[str, Any]
):
    """Demanded by an operation rather than by the document, too."""
    listed = {"content": {"application/json": {"schema": {"type": "array", "items": {}}}}}
    operation = {"security": [{"it": []}] if scheme else [], "responses": {"200": listed}}
    document = {
        "openapi": "3.0.3",
        "servers": [{"url": "https://a.example"}],
        "paths": {"/": {"get": operation}},
        "components": {"securitySchemes": {"it": scheme} if scheme else {}},
    }
    (tmp_path / "api.json").write_text(json.dumps(document, indent="\t"))
    pipeline = written(tmp_path / "a.yaml", "a", "--openapi", tmp_path / "api.json")
    assert pipeline.source.auth.model_dump() == auth
    assert pipeline.streams[0].name == "records"


@pytest.mark.parametrize("server", ["/v1", "https://{host}/v1", "http://[a", "ftp://a.example", ""])
def test_a_document_without_a_whole_server_needs_a_base_url(tmp_path: Path, server: str):
    listed = {"content": {"application/json": {"schema": {"type": "array"}}}}
    document = {
        "openapi": "3.0.3",
        "servers": [{"url": server}],
        "paths": {"/a": {"get": {"responses": {"200": listed}}}},
    }
    (tmp_path / "api.json").write_text(json.dumps(document))
    assert "found no base URL" in refusal("a", "--openapi", tmp_path / "api.json", "-o", tmp_path / "a.yaml")

"""The examples of the docs are run: pipeline files load, and requests and responses are what the docs show."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent
from urllib.parse import urlsplit

import pytest

from devtools.cli.users_file import read_users
from processors.batches import BatchLimits
from processors.delivery import next_plan
from processors.formats import objects_of
from processors.json_text import written
from processors.output_messages import messages_of
from processors.records import compressed
from processors.transforms import transformed
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.source_http import MAX_INFLATED, MAX_RATIO, MAX_WIRE
from shared.errors import InvalidPipeline, SourceError
from shared.messages import StreamKey
from shared.pipeline import numbers
from shared.pipeline.access_tokens import LONGEST_TOKEN, read_tokens, token_request
from shared.pipeline.auth import attachment, with_fields, with_query
from shared.pipeline.extensions import METHODS
from shared.pipeline.loader import load_file, load_text
from shared.pipeline.pagination import MAX_CURSOR
from shared.pipeline.requests import page_request
from shared.pipeline.responses import MAX_RECORDS, Response, read_page
from shared.pipeline.slices import plan_of
from shared.pipeline.spec import (
    AccessToken,
    Auth,
    OAuth2,
    OAuth2RefreshToken,
    Output,
    Paginator,
    Pipeline,
    ServiceBusMessages,
    Transform,
)
from shared.pipeline.spec.places import models
from shared.pipeline.waits import MAX_WAIT
from shared.pipeline.watermarks import Span, highest_of, span_of, window_scope
from tests import markdown
from tests.docs_examples import (
    BLOCKS,
    FOLLOWED,
    NO_AUTH,
    NOW,
    ORDERS,
    PIPELINES,
    ROOT,
    SCOPES,
    SOURCE,
    STREAMS,
    Message,
    examples,
    is_what_is_shown,
    members,
    messages,
    target_of,
)

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("example", FOLLOWED, ids=lambda example: example.heading)
def test_a_stream_asks_for_its_pages_as_its_example_shows(example: markdown.Block, monkeypatch: pytest.MonkeyPatch):
    """Each request is what the code asks for after the response before; after the last there is no next page."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "weather")
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml")
    shown = messages(example)
    cursor = None
    for number, (asked, answered) in enumerate(zip(shown[::2], shown[1::2], strict=True)):
        assert number == 0 or cursor is not None
        request = page_request(pipeline, pipeline.streams[0], cursor, SCOPES)
        assert is_what_is_shown(request, asked)
        cursor = read_page(pipeline.streams[0], cursor, answered.response, NOW).cursor
    assert shown
    assert cursor is None


def test_an_incremental_run_asks_as_its_example_shows():
    (example,) = [block for block in BLOCKS if block.language == "yaml" and block.heading == "incremental"]
    stream = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml").streams[0]
    asked, answered = messages(example)
    assert stream.incremental is not None
    first = window_scope(stream.incremental, span_of(stream.incremental, "", NOW))
    assert _asked_by(example, first) == asked.target
    page = read_page(stream, None, answered.response, NOW)
    watermark = highest_of(stream.incremental, page.records, page.headers, NOW, 0)
    second = window_scope(stream.incremental, span_of(stream.incremental, watermark, NOW))
    assert f"updated_since={second['start']}" in PIPELINES


def test_a_run_is_cut_into_windows_as_its_example_shows():
    (example,) = [block for block in BLOCKS if block.language == "yaml" and block.heading == "fixed"]
    stream = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml").streams[0]
    assert stream.incremental is not None
    plan = plan_of(stream, span_of(stream.incremental, "", datetime(2026, 3, 1, 12, tzinfo=UTC)))
    for number, asked in enumerate(messages(example)):
        found = plan.slice_at(number)
        assert found is not None
        window = window_scope(stream.incremental, Span(found.since, found.until))
        assert _asked_by(example, window) == asked.target
    assert plan.slice_at(len(messages(example))) is None


def _asked_by(example: markdown.Block, window: dict[str, str]) -> str:
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml")
    return target_of(page_request(pipeline, pipeline.streams[0], None, {**SCOPES, "window": window}).url)


@pytest.mark.parametrize("example", STREAMS, ids=lambda example: example.heading)
def test_a_stream_that_is_shown_loads(example: markdown.Block, monkeypatch: pytest.MonkeyPatch):
    """One names a class of the example that `docs/extending.md` explains."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "weather")
    assert load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml").streams


@pytest.mark.parametrize("example", examples(Auth), ids=lambda example: example.heading)
def test_a_credential_is_attached_as_its_example_shows(example: markdown.Block):
    auth = indent(example.text, "  ").lstrip()
    *exchange, asked = messages(example)
    orders = f"{ORDERS}  method: post\n" if asked.first_line.startswith("POST") else ORDERS
    pipeline = load_text(f"{SOURCE}{auth}streams:\n{orders}", "example.yaml")
    attached = attachment(pipeline, SCOPES | {"access": {"token": token_of(pipeline, exchange)}})
    request = page_request(pipeline, pipeline.streams[0], None, SCOPES)
    assert target_of(with_query(request.url, attached.query)) == asked.target
    content, headers = with_fields(request.content, request.headers, attached.body)
    assert {name.lower(): value for name, value in (*headers.items(), *attached.headers)} == asked.headers
    assert json.loads(content or b"null") == json.loads(asked.body or "null")


def token_of(pipeline: Pipeline, exchange: list[Message]) -> str:
    """What the code reads out of the answer that is shown, to the request that is shown; "" where none is."""
    auth = pipeline.source.auth
    if not isinstance(auth, AccessToken):
        assert exchange == []
        return ""
    asked, answered = exchange
    request = token_request(auth, SCOPES, None)
    media_type, body = request.content
    headers = {"host": urlsplit(request.url).netloc} | {name.lower(): value for name, value in request.headers}
    shown = {name: value for name, value in asked.headers.items() if (name, value) != ("content-type", media_type)}
    assert (urlsplit(request.url).path, headers) == (asked.target, shown)
    assert body.decode() == asked.body
    tokens = read_tokens(auth, answered.response, NOW)
    if isinstance(auth, OAuth2):
        assert tokens.expires_in != auth.default_token_expiration or '"expires_in": 3600' in answered.body
    assert (tokens.refresh_token is None) == ("n3xt" not in answered.body)
    return tokens.access_token


@pytest.mark.parametrize("example", examples(Transform), ids=lambda example: example.heading)
def test_a_transform_makes_of_a_record_what_its_example_shows(example: markdown.Block):
    described = f"{ORDERS}  transforms:\n{indent(example.text, '    ')}"
    stream = load_text(f"{SOURCE}{NO_AUTH}streams:\n{described}", "example.yaml").streams[0]
    before, after = BLOCKS[BLOCKS.index(example) + 1].text.splitlines()
    record = json.loads(before, parse_float=numbers.number)
    found = transformed([record], stream, SCOPES)
    assert [json.loads(written(each)) for each in found] == [json.loads(after)]
    assert [list(each) for each in found] == [list(json.loads(after))]


def test_everything_there_is_a_choice_of_has_an_example():
    shown = {block.heading for block in [*STREAMS, *examples(Auth), *examples(Transform), *examples(Output)]}
    unions = members(Paginator) + members(Auth) + members(Transform) + members(Output)
    assert shown >= {name for name, model in models().items() if model in unions} - {"custom"}


@pytest.mark.parametrize("row", markdown.table(PIPELINES, "Access tokens").rows, ids=" ".join)
def test_an_answer_of_a_token_endpoint_means_what_the_table_says(row: list[str]):
    status, header, body, meaning = (cell.strip("`") for cell in row)
    (example, *_) = (each for each in examples(Auth) if each.heading == "oauth2_refresh_token")
    auth = load_text(f"{SOURCE}{indent(example.text, '  ').lstrip()}streams:\n{ORDERS}", "example.yaml").source.auth
    assert isinstance(auth, OAuth2RefreshToken)
    headers = {name.lower(): value for name, value in [header.split(": ")]} if header else {}
    try:
        read_tokens(auth, Response(int(status), headers, body.encode()), NOW)
        found = "a token"
    except SourceError as error:
        found = str(error.kind)
    assert found == meaning


OUTPUTS = {name for name, model in models().items() if model in members(Output)} - {"custom"}


@pytest.mark.parametrize(
    "example", [block for block in BLOCKS if block.language == "yaml" and block.heading in OUTPUTS]
)
def test_an_output_writes_the_objects_that_its_example_shows(example: markdown.Block):
    """Of the page that the section before shows; the names as a plan of that page has them."""
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{ORDERS}{example.text}", "example.yaml")
    page = next(block for block in BLOCKS if block.heading == "`outputs`".strip("`") and block.language == "json")
    lines = b"".join(json.dumps(json.loads(line)).encode() + b"\n" for line in page.text.splitlines())
    key, committed = StreamKey("shop", "orders", "u01"), CommittedPage("RUN", "all", 0, NOW, 3, 1, b"")
    names = set[str]()
    for output in pipeline.outputs:
        if isinstance(output, ServiceBusMessages):
            page_of_lines = replace(committed, lines=compressed(lines))
            names |= {each.message_id for each in messages_of(key, page_of_lines, output)}
            continue
        plan = next_plan(key, [committed], BatchLimits(1000, 10_000, 60), output)
        names |= {name for name, _ in objects_of(plan.name, output, [lines])}
    shown = BLOCKS[BLOCKS.index(example) + 1]
    told = {re.sub(r"(?<=/_schema/)\w+", "SCHEMA", name) for name in names}
    assert sorted(told) == sorted(shown.text.split())


@pytest.mark.parametrize("row", markdown.table(PIPELINES, "What a response means").rows, ids=" ".join)
def test_a_response_means_what_the_table_says(row: list[str]):
    status, header, body, meaning = (cell.strip("`") for cell in row)
    stream = load_text(f"{SOURCE}{NO_AUTH}streams:\n{ORDERS}", "example.yaml").streams[0]
    headers = {name.lower(): value for name, value in [header.split(": ")]} if header else {}
    try:
        read_page(stream, None, Response(int(status), headers, body.encode()), NOW)
        found = "a page"
    except SourceError as error:
        found = str(error.kind)
    assert found == meaning


def rules_shown() -> str:
    return next(block.text for block in BLOCKS if block.heading == "responses" and block.language == "yaml")


@pytest.mark.parametrize("row", markdown.table(PIPELINES, "responses", 1).rows, ids=" ".join)
def test_a_response_means_what_the_rules_say(row: list[str]):
    """Whether they are those of the source or of the stream."""
    status, header, body, meaning, seconds = (cell.strip("`") for cell in row)
    rules = "  ".join(rules_shown().splitlines(keepends=True))
    of_source = load_text(f"{SOURCE}{NO_AUTH}  {rules}streams:\n{ORDERS}", "example.yaml")
    of_stream = load_text(f"{SOURCE}{NO_AUTH}streams:\n{ORDERS}  {rules}", "example.yaml")
    headers = {name.lower(): value for name, value in [header.split(": ")]} if header else {}
    for pipeline in (of_source, of_stream):
        answered = Response(int(status), headers, body.encode())
        wait = None
        try:
            page = read_page(pipeline.streams[0], None, answered, NOW, pipeline.source.responses)
            found, wait = "a page" if page.records else "the end of data", page.wait
        except SourceError as error:
            found, wait = str(error.kind), error.retry_after
        assert (found, f"{wait:g}" if wait else "") == (meaning, seconds)


def test_the_classes_and_errors_that_are_shown_are_those_of_the_example():
    """Code word by word; each error by the mistake that makes it."""
    page, example = (ROOT / "docs" / "extending.md").read_text(), ROOT / "examples" / "weather"
    code = (example / "weather.py").read_text()
    for block in (block for block in markdown.blocks(page) if block.language == "python"):
        lines = [line.strip() for line in block.text.splitlines() if line.strip()]
        assert "\n".join(lines) in "\n".join(line.strip() for line in code.splitlines() if line.strip())
    (errors,) = (block.text.splitlines() for block in markdown.blocks(page) if block.language == "text")
    file = example / "pipelines" / "weather.yaml"
    assert load_file(file).streams
    right = file.read_text()
    for wrong, error in zip(
        (("weather:RowRanges", "weather:RowRange"), ("rows: 2", "rows: 2, row: 2")), errors, strict=True
    ):
        with pytest.raises(InvalidPipeline) as caught:
            load_text(right.replace(*wrong), "weather.yaml")
        assert str(caught.value) == error


def test_the_methods_that_a_class_must_have_are_documented():
    rows = markdown.table((ROOT / "docs" / "extending.md").read_text(), "Name it", 1).rows
    documented = {group: tuple(markdown.code(methods)) for _, group, _, methods in rows}
    assert documented == {f"`headframe.{kind}`": methods for kind, methods in METHODS.items()}


def test_the_limits_are_those_of_the_code():
    limits = dict(markdown.table(PIPELINES, "Sizes").rows)
    mebibyte = 1024 * 1024
    assert limits["records of a page"] == f"{MAX_RECORDS:,}"
    assert limits["body on the wire"] == f"{MAX_WIRE // mebibyte} MiB"
    assert limits["body inflated"].startswith(f"{MAX_INFLATED // mebibyte} MiB, and {MAX_RATIO} times")
    assert limits["cursor or next link"] == f"{MAX_CURSOR:,} characters"
    assert f"at most {MAX_WAIT / 3600:g} hours" in PIPELINES
    assert f"at most {LONGEST_TOKEN:,} characters" in PIPELINES


def test_the_broken_file_gives_the_errors_that_are_shown():
    broken, errors = (block for block in BLOCKS if block.heading == "What errors look like")
    with pytest.raises(InvalidPipeline) as caught:
        load_text(broken.text, "shop.yaml")
    assert str(caught.value) == errors.text.strip()


def whole_files(page: str) -> list[Pipeline]:
    shown = [block for block in markdown.blocks(page) if block.language == "yaml" and "pipeline:" in block.text]
    return [load_text(block.text, "shown.yaml") for block in shown if block.heading != "What errors look like"]


@pytest.mark.parametrize("page", [PIPELINES, README], ids=["pipelines.md", "README.md"])
def test_a_pipeline_file_that_is_shown_loads_and_has_what_its_users_bring(page: str, tmp_path: Path):
    """The users beside it are a users file that `headframe mine` accepts for it."""
    (pipeline,) = whole_files(page)
    file = tmp_path / "users.jsonl"
    file.write_text(next(block.text for block in markdown.blocks(page) if block.language == "json"))
    read_users(file).require([pipeline])


KEPT = sorted(file for folder in ("examples", "pipelines") for file in (ROOT / folder).rglob("*.yaml"))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.name)
def test_a_pipeline_file_that_is_kept_loads(file: Path):
    assert load_file(file).streams


def test_the_log_line_that_is_shown_has_the_keys_that_are_documented():
    """And stands in the order in which it is written: function and what first, ms last."""
    operations = (ROOT / "docs" / "operations.md").read_text()
    (shown,) = (block for block in markdown.blocks(operations) if block.language == "json")
    keys = list(json.loads(shown.text))
    documented = markdown.table(operations, "Log lines").rows
    facts = next(set(markdown.code(row[3])) for row in documented if row[1] == "`committed`")
    assert keys[:2] == ["function", "what"]
    assert keys[-1] == "ms"
    assert set(keys[9:-1]) <= facts
    assert all(f"`{key}`" in operations for key in keys)

"""The examples of the docs are run: pipeline files load, and requests and responses are what the docs show."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from devtools.cli.users_file import read_users
from processors.delivery import BatchLimits, next_plan
from processors.formats import objects_of
from processors.output_messages import messages_of
from processors.records import compressed
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.source_http import MAX_INFLATED, MAX_RATIO, MAX_WIRE
from shared.errors import InvalidPipeline, SourceError
from shared.messages import StreamKey
from shared.pipeline.auth import attachment, with_query
from shared.pipeline.loader import load_text
from shared.pipeline.pagination import MAX_CURSOR
from shared.pipeline.requests import page_request
from shared.pipeline.responses import MAX_RECORDS, MAX_WAIT, Response, read_page
from shared.pipeline.spec import Auth, Output, Paginator, Pipeline, ServiceBusMessages
from shared.pipeline.spec.places import models
from tests import markdown

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PIPELINES = (ROOT / "docs" / "pipelines.md").read_text()
README = (ROOT / "README.md").read_text()
BLOCKS = markdown.blocks(PIPELINES)

SCOPES = {"user": {"id": "u01"}, "params": {}, "credentials": {"token": "s3cret", "name": "ann"}}
"""The user that the examples of `auth` name."""

SOURCE = "pipeline: example\nsource:\n  base_url: https://api.example.com/v1\n  "
ORDERS = "- name: orders\n  path: /orders\n  records: data\n  paginator: { type: single_page }\n"
NO_AUTH = "auth: { type: none }\n"


@dataclass(frozen=True)
class Message:
    """A request or a response as it is shown; header names in lower case."""

    first_line: str
    headers: dict[str, str]
    body: str

    @property
    def target(self) -> str:
        method, target, _ = self.first_line.split(" ")
        assert method == "GET"
        return target

    @property
    def response(self) -> Response:
        return Response(int(self.first_line.split(" ")[1]), self.headers, self.body.encode())


def examples(union: Any) -> list[markdown.Block]:
    """The `yaml` blocks of the models of one union, each under its own heading."""
    types = {name for name, model in models().items() if model in get_args(get_args(union)[0])}
    return [block for block in BLOCKS if block.language == "yaml" and block.heading in types]


def messages(example: markdown.Block) -> list[Message]:
    """What the `http` block behind an example shows."""
    shown = BLOCKS[BLOCKS.index(example) + 1]
    assert shown.language == "http"
    return [_message(text.strip()) for text in re.split(r"^(?=GET |HTTP/1\.1 )", shown.text, flags=re.MULTILINE)[1:]]


def _message(text: str) -> Message:
    head, _, body = text.partition("\n\n")
    first_line, *lines = head.splitlines()
    fields = (line.split(": ", 1) for line in lines)
    return Message(first_line, {name.lower(): value for name, value in fields}, body)


def target_of(url: str) -> str:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == "https://api.example.com"
    return parts.path + (f"?{parts.query}" if parts.query else "")


@pytest.mark.parametrize("example", examples(Paginator), ids=lambda example: example.heading)
def test_a_paginator_follows_pages_as_its_example_shows(example: markdown.Block):
    """Each request is what the code asks for after the response before; after the last there is no next page."""
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml")
    shown = messages(example)
    cursor = None
    for number, (asked, answered) in enumerate(zip(shown[::2], shown[1::2], strict=True)):
        assert number == 0 or cursor is not None
        request = page_request(pipeline, pipeline.streams[0], cursor, SCOPES)
        assert target_of(request.url) == asked.target
        cursor = read_page(pipeline.streams[0], cursor, answered.response, NOW).cursor
    assert shown
    assert cursor is None


@pytest.mark.parametrize("example", examples(Auth), ids=lambda example: example.heading)
def test_a_credential_is_attached_as_its_example_shows(example: markdown.Block):
    pipeline = load_text(f"{SOURCE}{example.text}streams:\n{ORDERS}", "example.yaml")
    (asked,) = messages(example)
    attached = attachment(pipeline, SCOPES)
    request = page_request(pipeline, pipeline.streams[0], None, SCOPES)
    assert target_of(with_query(request.url, attached.query)) == asked.target
    assert {name.lower(): value for name, value in attached.headers} == asked.headers


OUTPUTS = {name: model for name, model in models().items() if model in get_args(get_args(Output)[0])}


@pytest.mark.parametrize(
    "example", [block for block in BLOCKS if block.language == "yaml" and block.heading in OUTPUTS]
)
def test_an_output_writes_the_objects_that_its_example_shows(example: markdown.Block):
    """Of the page that the section before shows; the names as a plan of that page has them."""
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{ORDERS}{example.text}", "example.yaml")
    page = next(block for block in BLOCKS if block.heading == "`outputs`".strip("`") and block.language == "json")
    lines = b"".join(json.dumps(json.loads(line)).encode() + b"\n" for line in page.text.splitlines())
    key, committed = StreamKey("shop", "orders", "u01"), CommittedPage("RUN", "all", 0, NOW, 3, 1, b"")
    written = set[str]()
    for output in pipeline.outputs:
        if isinstance(output, ServiceBusMessages):
            page_of_lines = replace(committed, lines=compressed(lines))
            written |= {each.message_id for each in messages_of(key, page_of_lines, output)}
            continue
        plan = next_plan(key, [committed], BatchLimits(1000, 10_000), output)
        written |= {name for name, _ in objects_of(plan.name, output, [lines])}
    shown = BLOCKS[BLOCKS.index(example) + 1]
    told = {re.sub(r"(?<=/_schema/)\w+", "SCHEMA", name) for name in written}
    assert sorted(told) == sorted(shown.text.split())


def test_every_paginator_way_of_authentication_and_output_has_an_example():
    shown = {block.heading for block in [*examples(Paginator), *examples(Auth)]}
    shown |= {block.heading for block in BLOCKS if block.language == "yaml" and block.heading in OUTPUTS}
    assert shown == models().keys() - {"source", "streams"}


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


def test_the_limits_are_those_of_the_code():
    limits = dict(markdown.table(PIPELINES, "Limits").rows)
    mebibyte = 1024 * 1024
    assert limits["records of a page"] == f"{MAX_RECORDS:,}"
    assert limits["body on the wire"] == f"{MAX_WIRE // mebibyte} MiB"
    assert limits["body inflated"].startswith(f"{MAX_INFLATED // mebibyte} MiB, and {MAX_RATIO} times")
    assert limits["cursor or next link"] == f"{MAX_CURSOR:,} characters"
    assert f"at most {MAX_WAIT / 3600:g} hours" in PIPELINES


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


KEPT = sorted([*ROOT.glob("examples/*"), *ROOT.glob("pipelines/*")])


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.name)
def test_a_pipeline_file_that_is_kept_loads(file: Path):
    assert load_text(file.read_text(), file.name).streams


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

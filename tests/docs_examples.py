"""The examples of the reference of pipeline files: what is described, asked and answered there."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Response
from shared.pipeline.spec.places import models
from tests import markdown

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PIPELINES = (ROOT / "docs" / "pipelines.md").read_text()
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
    def method(self) -> str:
        return self.first_line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.first_line.split(" ")[1]

    @property
    def response(self) -> Response:
        return Response(int(self.first_line.split(" ")[1]), self.headers, self.body.encode())


def members(union: Any) -> tuple[Any, ...]:
    """The models of a discriminated union."""
    return get_args(get_args(union)[0])


def examples(union: Any) -> list[markdown.Block]:
    """The `yaml` blocks of the models of one union, each under its own heading."""
    types = {name for name, model in models().items() if model in members(union)} - {"custom"}
    return [block for block in BLOCKS if block.language == "yaml" and block.heading in types]


def messages(example: markdown.Block) -> list[Message]:
    """What the `http` block behind an example shows."""
    shown = BLOCKS[BLOCKS.index(example) + 1]
    assert shown.language == "http"
    return [
        _message(text.strip()) for text in re.split(r"^(?=GET |POST |HTTP/1\.1 )", shown.text, flags=re.MULTILINE)[1:]
    ]


def _message(text: str) -> Message:
    head, _, body = text.partition("\n\n")
    first_line, *lines = head.splitlines()
    fields = (line.split(": ", 1) for line in lines)
    return Message(first_line, {name.lower(): value for name, value in fields}, body.strip())


def target_of(url: str) -> str:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == "https://api.example.com"
    return parts.path + (f"?{parts.query}" if parts.query else "")


STREAMS = [block for block in BLOCKS if block.language == "yaml" and block.text.startswith("- name:")]


FOLLOWED = [
    block
    for block, behind in pairwise(BLOCKS)
    if block in STREAMS and behind.language == "http" and not {"incremental:", "parent:"} & set(block.text.split())
]
"""Those whose exchange with the source is shown, but for runs that go on where the last one ended, and chains."""

CHAINS = [block for block in STREAMS if "parent:" in block.text]


def is_what_is_shown(request: PageRequest, asked: Message) -> bool:
    """JSON may be written with other blanks."""
    sent = (request.content or b"").decode()
    same_body = json.loads(sent) == json.loads(asked.body) if sent.startswith("{") else sent == asked.body
    headers = {name.lower(): value for name, value in request.headers.items()}
    said = (request.method, target_of(request.url), headers)
    return said == (asked.method, asked.target, asked.headers) and same_body

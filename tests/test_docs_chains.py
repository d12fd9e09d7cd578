"""The examples of chains in the docs are run."""

import json
from itertools import count, takewhile
from typing import Any

import pytest

from shared.pipeline.chains import parent_scope, passed_along, with_parent_fields
from shared.pipeline.loader import load_text
from shared.pipeline.requests import page_request
from shared.pipeline.responses import read_page
from shared.pipeline.slices import Plan
from shared.pipeline.spec import Pipeline, Stream
from tests import markdown
from tests.docs_examples import CHAINS, NO_AUTH, NOW, PIPELINES, SCOPES, SOURCE, is_what_is_shown, messages


@pytest.mark.parametrize("example", CHAINS, ids=lambda example: example.text.splitlines()[5])
def test_a_chain_asks_for_its_pages_as_its_example_shows(example: markdown.Block):
    """The parent first, then what each of its records, or batch of them, leads to."""
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml")
    top, fed = pipeline.streams
    assert fed.parent is not None
    shown = messages(example)
    exchange = iter(zip(shown[::2], shown[1::2], strict=True))
    records = _followed(exchange, pipeline, top, {})
    (passed,) = passed_along(records, [fed], {})
    plan = Plan(each=fed.parent.batch_size, parents=len(passed.values))
    found: list[dict[str, Any]] = []
    for slice_ in takewhile(lambda each: each is not None, map(plan.slice_at, count())):
        values = [passed.values[number] for number in slice_.parents] if slice_ else []
        page = _followed(exchange, pipeline, fed, parent_scope(fed.parent, values))
        found += with_parent_fields(page, fed.parent, values)
    assert next(exchange, None) is None
    assert json.dumps(found[0])[:-1].removeprefix("{") in PIPELINES


def _followed(exchange: Any, pipeline: Pipeline, stream: Stream, passed: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of all pages of one slice."""
    records: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked, answered = next(exchange)
        assert is_what_is_shown(page_request(pipeline, stream, cursor, {**SCOPES, "parent": passed}), asked)
        page = read_page(stream, cursor, answered.response, NOW)
        records += page.records
        cursor = page.cursor
        if cursor is None:
            return records

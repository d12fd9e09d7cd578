"""The schema that editors use accepts what is right and refuses what is wrong, as far as a schema can."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from devtools import pipeline_schema
from shared.errors import InvalidPipeline
from shared.pipeline.loader import load_text
from tests import markdown
from tests.unit.shared.pipeline import test_loader

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "pipeline.schema.json"
EXAMPLES = sorted([*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("examples/*.yaml")])
VALIDATOR = Draft202012Validator(json.loads(FILE.read_text()))

BEYOND = (
    "found the key twice",
    "found two streams named",
    "found none, allowed: one of cursor_path",
    "found ignore_changes without",
    "found deleted without",
    "allowed: names of fields with dots between them",
    "found no salt with the method hash",
    "found a salt with the method mask",
    "in the place of another field",
    "allowed: a JMESPath",
    "found '0 99 * * * *'",
)
"""Mistakes that no schema can see, by what the loader says of them."""


def mistakes(text: str) -> list[str]:
    """What the schema has against the text; keys are texts in JSON, whatever YAML takes them for."""
    return [error.message for error in VALIDATOR.iter_errors(json.loads(json.dumps(yaml.safe_load(text), default=str)))]


def whole_pipelines_of_the_docs() -> Iterator[str]:
    for page in (ROOT / "docs" / "pipelines.md", ROOT / "README.md"):
        for block in markdown.blocks(page.read_text()):
            if block.language == "yaml" and block.text.startswith("pipeline: shop"):
                yield block.text


def wrong_ones() -> list[tuple[str, str]]:
    """Text and refusal, from the test of the loader."""
    (mark,) = test_loader.test_a_mistake_is_one_line_with_file_line_path_found_and_allowed.pytestmark
    return mark.args[1]


def test_the_schema_is_what_the_models_say():
    """When this fails: python -m devtools.pipeline_schema > docs/pipeline.schema.json"""
    assert FILE.read_text() == pipeline_schema.reference()


def test_the_schema_is_one():
    Draft202012Validator.check_schema(json.loads(FILE.read_text()))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_names_the_schema_and_fits_it(file: Path):
    first, _, text = file.read_text().partition("\n")
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert named != first
    assert (file.parent / named).resolve() == FILE
    assert mistakes(text) == []


@pytest.mark.parametrize("text", [test_loader.GOOD, *whole_pipelines_of_the_docs()])
def test_what_the_docs_and_the_loader_call_right_fits(text: str):
    load_text(text, "it.yaml")
    assert mistakes(text) == []


@pytest.mark.parametrize(("text", "said"), wrong_ones())
def test_what_the_loader_refuses_the_schema_refuses_too(text: str, said: str):
    """But for what is beyond a schema, which is listed; so the list can't hide what a schema could say."""
    with pytest.raises(InvalidPipeline):
        load_text(text, "it.yaml")
    assert bool(mistakes(text)) != any(beyond in said for beyond in BEYOND)


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("primary_key", "id", True),
        ("primary_key", "[id, line]", True),
        ("primary_key", "1", False),
        ("on_error", "{ first: 1d12h, cap: P2D }", True),
        ("on_error", "{ first: 5 minutes }", False),
        ("on_error", "{ first: 0s }", True),
        ("on_error", "{ first: 0s, cap: 0s }", False),
        ("on_error", "{ mode: give_up }", False),
        ("query", '{ a: "{user.id}", b: "{params.x}", c: "x{y,z}", d: 1, e: true }', True),
        ("query", '{ a: "{user.name}" }', False),
        ("query", '{ a: "ok {params.x} and {credentials.x}" }', False),
        ("headers", '{ X-A: "{credentials.token}" }', False),
        ("incremental", "{ cursor_path: a, format: epoch_seconds }", True),
        ("incremental", "{ cursor_path: a, format: '%Y %m' }", True),
        ("incremental", "{ cursor_path: a, format: sometime }", False),
    ],
)
def test_loader_and_schema_agree_on_values(option: str, value: str, right: bool):
    text = test_loader.GOOD.replace("    query: { limit: 100 }\n    records: data\n    primary_key: id\n", "")
    text += f"    {option}: {value}\n"
    said: list[Any] = []
    try:
        load_text(text, "it.yaml")
    except InvalidPipeline as error:
        said.append(str(error))
    assert (not said) is right, said
    assert (not mistakes(text)) is right


@pytest.mark.parametrize(
    ("base_url", "right"),
    [
        ("https://a.example/v1", True),
        ("'{params.base_url}/v1'", True),
        ("'https://{user.id}.example'", True),
        ("a.example", False),
        ("'https://{parent.x}.example'", False),
        ("'{credentials.url}'", False),
    ],
)
def test_loader_and_schema_agree_on_base_urls(base_url: str, right: bool):
    text = test_loader.changed("https://api.example.com/v1", base_url)
    assert (not mistakes(text)) is right
    if right:
        load_text(text, "it.yaml")
    else:
        with pytest.raises(InvalidPipeline, match="base_url"):
            load_text(text, "it.yaml")


def test_the_description_of_every_model_is_in_the_schema():
    for name, definition in json.loads(FILE.read_text())["$defs"].items():
        assert definition.get("description"), name

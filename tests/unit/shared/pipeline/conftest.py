"""Pipelines for the tests of the language, made from their variable parts."""

import json
from collections.abc import Callable

import pytest

from shared.pipeline.loader import load_text
from shared.pipeline.spec import Pipeline, Stream

BEARER = {"type": "bearer", "token": "{credentials.token}"}
SINGLE = {"type": "single_page"}


def _pipeline(paginator: object = SINGLE, source: object = None, **stream: object) -> Pipeline:
    """`source` and `stream` are merged over small defaults. JSON is YAML."""
    defaults = {"base_url": "https://api.example.com/v1", "auth": BEARER}
    spec = {
        "pipeline": "social",
        "source": {**defaults, **(source if isinstance(source, dict) else {})},
        "streams": [{"name": "posts", "paginator": paginator, **stream}],
    }
    return load_text(json.dumps(spec), "social.yaml")


@pytest.fixture(scope="session")
def make_pipeline() -> Callable[..., Pipeline]:
    return _pipeline


@pytest.fixture(scope="session")
def make_stream() -> Callable[..., Stream]:
    return lambda *args, **keywords: _pipeline(*args, **keywords).streams[0]

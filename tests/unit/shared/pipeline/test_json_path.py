"""Paths into JSON."""

import pytest

from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("a.b", {"a": {"b": 1}}, 1),
        ("a.b", {"a": 1}, None),
        ("a[0].b", {"a": [{"b": None}]}, None),
        ("items[].order", {"items": [{"order": 1}, {"order": 2}]}, [1, 2]),
        ("a", [], None),
        ("a", None, None),
    ],
)
def test_it_finds_what_is_there_or_nothing(path: str, body: object, found: object):
    assert found_at(path, body) == found


def test_a_function_that_meets_another_type_is_a_malformed_response():
    """What works on ordinary bodies may fail on an odd one; that is the source's doing."""
    with pytest.raises(MalformedResponse, match=r"^sort_by\(data, &id\): JMESPathTypeError"):
        found_at("sort_by(data, &id)", {"data": [{"id": 1}, {"id": "canary"}]})

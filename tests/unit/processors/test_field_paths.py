"""Fields that lie deep are met, and nothing else changes."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.field_paths import without

NESTED = {"id": 1, "a": {"x": 1, "y": [{"z": 1, "w": 2}, {"w": 3}, 4]}, "a.x": 5}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("id", {"a": NESTED["a"], "a.x": 5}),
        ("a.x", {"id": 1, "a": {"y": [{"z": 1, "w": 2}, {"w": 3}, 4]}, "a.x": 5}),
        ('"a.x"', {"id": 1, "a": NESTED["a"]}),
        ("a.y.z", {"id": 1, "a": {"x": 1, "y": [{"w": 2}, {"w": 3}, 4]}, "a.x": 5}),
        ("a.y.z.deeper", NESTED),
        ("nothing.here", NESTED),
    ],
)
def test_a_field_is_taken_out_wherever_it_lies(path: str, left: dict[str, Any]):
    before = copy.deepcopy(NESTED)
    assert without(NESTED, (path,)) == left
    assert before == NESTED


@given(st.dictionaries(st.sampled_from("abc"), st.integers()), st.sets(st.sampled_from("abcd")))
def test_what_is_named_goes_and_the_rest_stays_in_its_order(record: dict[str, int], names: set[str]):
    left = without(record, tuple(names))
    assert list(left.items()) == [(name, value) for name, value in record.items() if name not in names]

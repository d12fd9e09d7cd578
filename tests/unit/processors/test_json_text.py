"""JSON comes out as it went in, but for white space."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.json_text import compared, written
from shared.errors import MalformedResponse
from shared.pipeline.numbers import number

digits = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True).filter(
    lambda text: text != "-0"
)
texts = st.text(st.characters(exclude_categories=[]), max_size=8).map(json.dumps)


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=3).map(lambda each: "[" + ",".join(each) + "]")


def mappings(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.dictionaries(texts, inner, max_size=3)
    return pairs.map(lambda each: "{" + ",".join(f"{name}:{value}" for name, value in each.items()) + "}")


documents = st.recursive(
    digits | texts | st.sampled_from(["null", "true", "false"]),
    lambda inner: lists(inner) | mappings(inner),
    max_leaves=12,
)


def parsed(text: str) -> Any:
    return json.loads(text, parse_float=number)


@given(documents)
def test_any_document_is_written_as_it_was_sent(text: str):
    """Numbers of any length and spelling, lone surrogates, NUL and combining characters included."""
    assert written(parsed(text)) == text


@pytest.mark.parametrize(
    "value",
    ["1.10", "1e2", "0.30000000000000000000000001", "1" + "0" * 300, "9007199254740993", "18446744073709551616"],
)
def test_a_number_survives(value: str):
    assert written(parsed(f'{{"v":[{value}]}}')) == f'{{"v":[{value}]}}'


def test_the_sign_of_a_whole_zero_is_not_kept():
    """The one number that is written anew."""
    assert written(parsed("[-0]")) == "[0]"


def test_a_text_that_looks_like_a_number_is_a_text():
    assert written({"v": "is 1.10", "w": ["1.10"]}) == '{"v":"is 1.10","w":["1.10"]}'


def test_neither_order_nor_spelling_is_a_difference():
    assert compared(parsed('{"b": {"y": 2, "x": 1e2}, "a": 1.10}')) == compared(
        parsed('{"a": 1.1, "b": {"x": 100.0, "y": 2}}')
    )


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("0.10000000000000000001", "0.1"), ('"1.0"', "1.0")])
def test_different_values_are_a_difference(one: str, other: str):
    assert compared(parsed(f"[{one}]")) != compared(parsed(f"[{other}]"))


def test_a_number_that_no_float_holds_is_malformed():
    """Most readers would make infinity of it."""
    with pytest.raises(MalformedResponse, match="found a number like 1e999"):
        written(parsed('{"v": 1e999}'))

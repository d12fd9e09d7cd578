"""Table keys of any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters import keys

LEGAL = re.compile(r"[A-Za-z0-9._=~|-]*")
MAX_KEY = 512
"""Characters: 1 KiB of UTF-16."""

anything = st.text(st.characters(exclude_categories=()), max_size=300)
look_alikes = st.text(alphabet="=~|/aA0", max_size=8)
texts = anything | look_alikes
parts = st.lists(texts, min_size=1, max_size=3)


@given(texts, texts)
def test_different_texts_have_different_keys(some: str, other: str):
    assert (keys.encode(some) == keys.encode(other)) == (some == other)


@given(parts, parts)
def test_different_lists_of_texts_have_different_keys(some: list[str], others: list[str]):
    assert (keys.key(*some) == keys.key(*others)) == (some == others)


@given(parts)
def test_keys_are_legal_and_short_enough(some: list[str]):
    """Table Storage refuses / \\ # ? and control characters; any user id must do."""
    key = keys.key(*some)
    assert LEGAL.fullmatch(key)
    assert len(key) <= MAX_KEY


def test_upper_and_lower_case_stay_apart():
    assert keys.encode("Ann") != keys.encode("ann")


@pytest.mark.parametrize("text", ["ann", "u-01_x.y", "a" * 120])
def test_plain_texts_can_be_read_in_the_table(text: str):
    assert keys.encode(text) == text


def test_a_long_text_can_not_pass_for_the_hash_of_another():
    long = "a" * 121
    assert keys.encode(long).startswith("~")
    assert keys.encode(keys.encode(long)) != keys.encode(long)

"""A number keeps what it said, and counts as what it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pipeline.numbers import SpeltNumber, number

ODD = ["1.10", "1e2", "1E+2", "0.1000000000000000055511151231257827", "1e-400", "-1.50e-7", "12345678901234567890.50"]


@pytest.mark.parametrize("text", ODD)
def test_a_number_of_another_spelling_keeps_its_text(text: str):
    assert str(number(text)) == repr(number(text)) == text
    assert number(text) == float(text)


@pytest.mark.parametrize("text", ["0.1", "-2.5", "1234567.25", "0.0", "-0.0"])
def test_a_number_that_floats_spell_alike_is_an_ordinary_float(text: str):
    assert type(number(text)) is float


@pytest.mark.parametrize(
    ("one", "other"), [("1.10", "1.1000"), ("1e2", "100.00"), ("12345678901234567890.5", "12345678901234567890.50")]
)
def test_the_spelling_is_no_difference(one: str, other: str):
    assert SpeltNumber(one).compared == SpeltNumber(other).compared


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.12345678901234567890", "0.12345678901234567891"),
        ("1e-400", "2e-400"),
        ("1e9999999999999999999", "2e9999999999999999999"),
    ],
)
def test_numbers_that_share_a_float_are_different(one: str, other: str):
    assert float(one) == float(other)
    assert SpeltNumber(one).compared != SpeltNumber(other).compared


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_compared_is_the_float_where_it_is_exact(value: float):
    """So a page that was hashed before numbers kept their spelling is no change."""
    assert SpeltNumber(f"{value!r}").compared == json.dumps(value)

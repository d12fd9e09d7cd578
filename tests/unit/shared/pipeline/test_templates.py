"""Placeholders of pipeline files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RequestRejected
from shared.pipeline.templates import render, render_json

SCOPES = {"user": {"id": "ann/1"}, "params": {"shop": "a b", "count": 3}, "credentials": {"token": "canary-token"}}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("/users/{user.id}", "/users/ann/1"),
        ("{params.shop}-{params.count}", "a b-3"),
        ("{credentials.token}", "canary-token"),
        ("plain", "plain"),
        ("{message,from}", "{message,from}"),
        ("", ""),
    ],
)
def test_placeholders_are_filled_and_the_rest_is_kept(template: str, filled: str):
    assert render(template, SCOPES) == filled


def test_in_a_path_a_value_is_one_segment():
    """A user id with a slash can't lead to another user's data."""
    assert render("/users/{user.id}/posts", SCOPES, for_path=True) == "/users/ann%2F1/posts"


def test_a_missing_value_is_named_and_none_is_shown():
    with pytest.raises(RequestRejected) as refusal:
        render("{params.region} {credentials.token}", SCOPES)
    assert str(refusal.value) == "the user has no value for {params.region}"


@given(st.text())
def test_a_value_is_never_read_as_a_template(value: str):
    """Nobody gets at a credential by being called like one."""
    hostile = "{credentials.token}" + value
    assert render("{user.id}", {**SCOPES, "user": {"id": hostile}}) == hostile


def test_json_is_filled_at_any_depth_and_its_keys_are_left_alone():
    value = {"{user.id}": ["{params.count}", "n={params.count}", {"a": "{params.shop}!"}], "b": [True, None, 1.5]}
    filled = {"{user.id}": [3, "n=3", {"a": "a b!"}], "b": [True, None, 1.5]}
    assert render_json(value, SCOPES) == filled
    assert value["{user.id}"][0] == "{params.count}"


@pytest.mark.parametrize("template", ["{params.region}", "in {params.region}"])
def test_a_value_that_is_missing_in_json_is_named(template: str):
    with pytest.raises(RequestRejected, match=r"the user has no value for \{params.region\}"):
        render_json({"a": [template]}, SCOPES)

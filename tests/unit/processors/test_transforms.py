"""The output shows of a record what the pipeline file lets it."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.transforms import MASK, transformed
from shared.errors import MalformedResponse, RequestRejected
from shared.pipeline.numbers import number
from shared.pipeline.spec import Stream

SCOPES = {"user": {"id": "ann"}, "params": {"salt": "p3pper"}, "credentials": {"salt": "s4lt-of-ann"}}
ORDER = {"id": 7, "who": {"name": "Ann", "mail": "a@b.c"}, "lines": [{"sku": "x", "price": 1}, {"sku": "y"}], "n": None}


def stream(*transforms: dict[str, object]) -> Stream:
    return Stream.model_validate(
        {"name": "orders", "paginator": {"type": "single_page"}, "transforms": list(transforms)}
    )


def after(record: dict[str, Any], *transforms: dict[str, object], scopes: Any = SCOPES) -> dict[str, Any]:
    before = copy.deepcopy(record)
    (left,) = transformed([record], stream(*transforms), scopes)
    assert record == before
    return left


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        (["id", "n"], {"id": 7, "n": None}),
        (["who.name"], {"who": {"name": "Ann"}}),
        (["lines.sku"], {"lines": [{"sku": "x"}, {"sku": "y"}]}),
        (["lines.price", "lines.sku"], {"lines": [{"sku": "x", "price": 1}, {"sku": "y"}]}),
        (["who.name", "who"], {"who": ORDER["who"]}),
        (["who", "who.name"], {"who": ORDER["who"]}),
        (["id.deeper", "nothing"], {}),
    ],
)
def test_select_keeps_what_is_named(fields: list[str], left: dict[str, Any]):
    assert after(ORDER, {"type": "select", "fields": fields}) == left


def test_select_keeps_the_order_of_the_source():
    assert list(after({"a": 1, "b": 2, "c": 3}, {"type": "select", "fields": ["c", "a"]})) == ["a", "c"]


def test_drop_leaves_out_what_is_named():
    dropped = after(ORDER, {"type": "drop", "fields": ["who.mail", "lines.price", "nothing.here"]})
    assert dropped == ORDER | {"who": {"name": "Ann"}, "lines": [{"sku": "x"}, {"sku": "y"}]}


@pytest.mark.parametrize(
    ("fields", "record", "left"),
    [
        ({"a": "b"}, {"a": 1, "c": 2}, {"c": 2, "b": 1}),
        ({"a": "b"}, {"a": None}, {"b": None}),
        ({"a": "b"}, {"c": 2}, {"c": 2}),
        ({"a": "b"}, {"c": 2, "b": 3}, {"c": 2, "b": 3}),
        ({"a": "b"}, {"a": 1, "b": 3}, {"b": 1}),
        ({"a": "b", "b": "a"}, {"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a.x": "x"}, {"a": {"x": 1, "y": 2}}, {"a": {"y": 2}, "x": 1}),
        ({"x": "a.x"}, {"a": {"y": 2}, "x": 1}, {"a": {"y": 2, "x": 1}}),
        ({"a": "a.b"}, {"a": 1}, {"a": {"b": 1}}),
        ({"x": '"a.x"'}, {"x": 1}, {"a.x": 1}),
        ({"a.x": "b"}, {"a": [{"x": 1}]}, {"a": [{"x": 1}]}),
    ],
)
def test_rename_moves_what_is_there(fields: dict[str, str], record: dict[str, Any], left: dict[str, Any]):
    assert after(record, {"type": "rename", "fields": fields}) == left


def test_a_field_can_not_be_put_into_what_is_no_mapping():
    with pytest.raises(MalformedResponse, match=r"a\.x: found int on the way, allowed: a mapping to put it into"):
        after({"a": 5, "x": 1}, {"type": "rename", "fields": {"x": "a.x"}})


def test_a_mask_leaves_nothing_of_a_value():
    masked = after(ORDER, {"type": "redact", "fields": ["who", "lines.price", "n"]})
    assert masked == ORDER | {"who": MASK, "lines": [{"sku": "x", "price": MASK}, {"sku": "y"}]}


class TestHash:
    def hashed(self, value: object, salt: str = "{params.salt}", scopes: Any = SCOPES) -> object:
        return after({"v": value}, {"type": "redact", "fields": ["v"], "method": "hash", "salt": salt}, scopes=scopes)[
            "v"
        ]

    def test_it_is_a_keyed_hash_that_others_can_make(self):
        """HMAC-SHA-256 of the text, with the salt as key: as `openssl dgst -sha256 -hmac p3pper` has it."""
        assert self.hashed("a@b.c") == "1f6d6f1ce2dbeb1b781b321aa5d400b845df72fe283cc36fc4e05106fdcdae8a"

    def test_the_same_value_has_the_same_hash_wherever_it_stands(self):
        assert self.hashed("a@b.c") == self.hashed("a@b.c")
        assert self.hashed(7) == self.hashed("7")
        assert self.hashed({"x": 1, "y": number("1.10")}) == self.hashed({"y": 1.1, "x": 1})

    def test_another_salt_makes_another_hash(self):
        """So what is the same for two users does not look the same."""
        hashes = {self.hashed("a@b.c", salt) for salt in ("{params.salt}", "{credentials.salt}", "{user.id}", "plain")}
        assert len(hashes) == 4

    @pytest.mark.parametrize("value", ["\ud800", "\x00", "", [], {}, 2**70, 0.5, False])
    def test_any_value_has_a_hash(self, value: object):
        assert len(str(self.hashed(value))) == 64

    def test_null_says_that_there_is_nothing(self):
        assert self.hashed(None) is None

    def test_a_user_without_the_salt_is_refused(self):
        with pytest.raises(RequestRejected, match=r"the user has no value for \{params\.salt\}"):
            self.hashed("x", scopes={"params": {}})


def test_transforms_are_done_in_their_order():
    first = {"type": "rename", "fields": {"who.mail": "mail"}}
    then = {"type": "redact", "fields": ["mail"]}
    last = {"type": "select", "fields": ["id", "mail"]}
    assert after(ORDER, first, then, last) == {"id": 7, "mail": MASK}
    assert after(ORDER, last, then, first) == {"id": 7}


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
records = st.dictionaries(st.sampled_from("abc"), values, max_size=3)
paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)


@given(records, st.lists(paths, min_size=1, max_size=3))
def test_what_is_redacted_is_nowhere_left(record: dict[str, Any], fields: list[str]):
    """Masked and then looked for: no value that stood there stands there still."""
    masked = after(record, {"type": "redact", "fields": fields})
    (chosen,) = transformed([masked], stream({"type": "select", "fields": fields}), SCOPES)
    assert set(leaves(chosen)) <= {None, MASK}


@given(records, paths)
def test_select_and_drop_share_the_record(record: dict[str, Any], path: str):
    """What one keeps of whole fields the other leaves out."""
    selected = after(record, {"type": "select", "fields": [path]})
    dropped = after(record, {"type": "drop", "fields": [path]})
    assert after(dropped, {"type": "drop", "fields": [path]}) == dropped
    assert after(selected, {"type": "select", "fields": [path]}) == selected
    assert not list(leaves(after(selected, {"type": "drop", "fields": [path]})))


def leaves(value: Any) -> Any:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


def test_what_is_written_of_a_hash_is_a_text():
    assert json.dumps(after({"v": [1]}, {"type": "redact", "fields": ["v"], "method": "hash", "salt": "x"})).isascii()

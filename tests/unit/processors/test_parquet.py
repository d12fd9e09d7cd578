"""Whatever a source sends comes back out of Parquet as it was, and never fails."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.parquet import read_table

from processors.formats import objects_of
from processors.parquet import kind_of, parquet
from shared.pipeline.spec import Parquet

ZSTD = Parquet(type="parquet")

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=())) | st.text()
VALUES = st.recursive(PLAIN | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=5)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "", "\ud800", "ü"]) | TEXTS, VALUES), min_size=1)


def lines_of(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps({**record, "_user": "ann"}).encode() + b"\n" for record in records)


def read(data: bytes, schema: bytes) -> list[dict[str, Any]]:
    """Records as a reader gets them who decodes what the schema calls JSON; null and absent are one."""
    told = json.loads(schema)["properties"]
    rows = read_table(io.BytesIO(data)).to_pylist()
    return [
        {
            name: json.loads(value) if told[name].get("format") == "json" else value
            for name, value in row.items()
            if value is not None
        }
        for row in rows
    ]


@given(RECORDS)
def test_every_record_comes_back(records: list[dict[str, Any]]):
    """But for names that are no Unicode, which are shown as JSON."""
    found = read(*parquet(lines_of(records), ZSTD))
    for record, came_back in zip(records, found, strict=True):
        expected = {name: value for name, value in record.items() if value is not None and name.isprintable()}
        assert {name: came_back[name] for name in expected if name != "_user"} == {
            name: value for name, value in expected.items() if name != "_user"
        }
        told = sum(value is not None for name, value in record.items() if name != "_user")
        assert len(came_back) == told + 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None], "boolean"),
        ([1, 2**63 - 1, -(2**63)], "integer"),
        ([1, 1.5], "number"),
        ([2**53 + 1, 1.5], "json"),
        ([1, 2**53 + 1, 1.5], "json"),
        ([2**63], "json"),
        (["a", None], "string"),
        ([None], "string"),
        ([1, "a"], "json"),
        ([True, 1], "json"),
        (["\ud800"], "json"),
        ([[1]], "json"),
        ([{}], "json"),
    ],
)
def test_a_column_is_as_narrow_as_its_values_allow(values: list[Any], kind: str):
    assert kind_of(values) == kind
    assert kind_of(reversed(values)) == kind


@given(st.lists(PLAIN | TEXTS), st.lists(PLAIN | TEXTS))
def test_more_values_never_make_a_column_narrower(some: list[Any], more: list[Any]):
    wider = {"boolean": 0, "integer": 0, "number": 1, "string": 0, "json": 2}
    if any(value is not None for value in some):
        assert wider[kind_of(some + more)] >= wider[kind_of(some)]


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_the_same_lines_give_the_same_bytes(compression: str):
    output = Parquet(type="parquet", compression=compression)
    lines = lines_of([{"id": 1, "price": 2}, {"id": 2, "price": 2.5, "new": ["x"]}])
    found = dict(objects_of("shop/orders/date=2026-11-22/name.parquet", output, [lines]))
    assert dict(objects_of("shop/orders/date=2026-11-22/name.parquet", output, [lines])) == found
    (schema,) = [json.loads(data) for name, data in found.items() if name.startswith("shop/orders/_schema/")]
    assert schema["properties"]["price"] == {"type": ["number", "null"]}
    assert schema["properties"]["new"] == {"type": ["string", "null"], "format": "json"}


def test_the_same_schema_stands_there_once():
    names = [
        {name for name, _ in objects_of(f"a/b/{number}", ZSTD, [lines_of([{"id": number}])])} for number in range(2)
    ]
    assert len(names[0] & names[1]) == 1

"""Objects of one kind become one with the same records."""

import gzip
import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from processors.formats import compressed
from processors.merging import merged, suffix_of
from processors.parquet import parquet
from shared.pipeline.spec import JsonLines, Parquet

LINES = [b'{"id":1}\n{"id":2}\n', b'{"id":3}\n']
PARQUET = Parquet(type="parquet")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_lines_stay_what_they_were(compression: Any):
    output = JsonLines(type="json_lines", compression=compression)
    data = merged([compressed(part, output) for part in LINES], output.suffix)
    opened = {"none": bytes, "gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress}[compression]
    assert opened(data) == b"".join(LINES)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.jsonl", ".jsonl"), ("a.jsonl.gz", ".jsonl.gz"), ("a.parquet", ".parquet"), ("a.json", None)],
)
def test_only_kinds_that_are_known_are_merged(name: str, suffix: str | None):
    assert suffix_of(name) == suffix


def table(*parts: list[dict[str, Any]], output: Parquet = PARQUET) -> Any:
    objects = [parquet("".join(json.dumps(each) + "\n" for each in part).encode(), output)[0] for part in parts]
    return pq.ParquetFile(io.BytesIO(merged(objects, ".parquet")))


@pytest.mark.parametrize(
    ("first", "second", "kind", "values"),
    [
        (1, 2, "int64", [1, 2]),
        (1, 2.5, "double", [1.0, 2.5]),
        (2**60, 0.5, "string", [str(2**60), "0.5"]),
        (True, 1, "string", ["true", "1"]),
        ("a", 1, "string", ['"a"', "1"]),
        ("a", [1], "string", ['"a"', "[1]"]),
        ([1], {"b": None}, "string", ["[1]", '{"b": null}']),
        (None, 3, "int64", [None, 3]),
        ("a", None, "string", ["a", None]),
        (None, None, "string", [None, None]),
    ],
)
def test_a_column_becomes_as_wide_as_its_parts_need(first: Any, second: Any, kind: str, values: list[Any]):
    found = table([{"x": first}], [{"x": second}]).read()
    assert str(found.schema.field("x").type) == kind
    assert found.column("x").to_pylist() == values


def test_what_is_json_says_so():
    found = table([{"x": "a", "y": "b"}], [{"x": 1, "y": "c"}])
    assert json.loads(found.metadata.metadata[b"json_columns"]) == ["x"]


def test_what_has_been_widened_can_be_merged_again():
    """JSON with JSON is not written as JSON once more."""
    found = table([{"x": "a"}, {"x": 1}], [{"x": [2]}]).read()
    assert found.column("x").to_pylist() == ['"a"', "1", "[2]"]


def test_columns_that_only_one_part_has_are_null_in_the_others():
    found = table([{"id": 1, "a": "x"}], [{"id": 2, "b": True}]).read()
    assert found.to_pylist() == [{"id": 1, "a": "x", "b": None}, {"id": 2, "a": None, "b": True}]


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_the_compression_stays(compression: Any):
    found = table([{"id": 1}], [{"id": 2}], output=Parquet(type="parquet", compression=compression))
    assert found.metadata.row_group(0).column(0).compression.lower() == compression

"""Committed lines look as the output says, and the same pages always give the same names and bytes."""

import gzip
import json

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from processors.formats import LONGEST_PARTITION, NULL, folder, objects_of, safe
from shared.pipeline.spec import JsonLines

ODD = [{"id": 2**70, "text": "\ud800 \u0000 \u2028", "none": None}, {"id": "x", "deep": [{"a": [1.5, True]}]}, {}]
PAGES = [b"".join(json.dumps(record).encode() + b"\n" for record in ODD), b'{"id": 3}\n']

UNPACK = {"none": bytes, "gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress}


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_lines_come_back_as_they_were(compression: str):
    output = JsonLines(type="json_lines", compression=compression)
    ((name, data),) = objects_of("shop/orders/name", output, PAGES)
    assert name == "shop/orders/name"
    assert UNPACK[compression](data) == b"".join(PAGES)
    assert list(objects_of("shop/orders/name", output, PAGES)) == [(name, data)]


def test_records_stand_under_their_partitions_and_null_has_its_own():
    output = JsonLines(type="json_lines", partition_by=("date", "record.place.country", "user"))
    lines = [
        b'{"place": {"country": "fr"}}\n',
        b'{"place": null}\n',
        b'{"place": {"country": "fr"}, "n": 2}\n',
        b"{}\n",
    ]
    name = "shop/orders/" + folder(output, "2026-11-22", "ann") + "run-all-0-1.jsonl"
    assert dict(objects_of(name, output, lines)) == {
        "shop/orders/date=2026-11-22/place.country=fr/user=ann/run-all-0-1.jsonl": lines[0] + lines[2],
        f"shop/orders/date=2026-11-22/place.country={NULL}/user=ann/run-all-0-1.jsonl": lines[1] + lines[3],
    }


@given(st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4)))
def test_no_record_is_lost_between_partitions(values: list[object]):
    output = JsonLines(type="json_lines", partition_by=("record.a", "record.b"))
    lines = [json.dumps({"a": value, "n": number}).encode() + b"\n" for number, value in enumerate(values)]
    found = list(objects_of(folder(output, "", "") + "name", output, lines))
    assert sorted(line for _, data in found for line in data.splitlines(keepends=True)) == sorted(lines)
    assert len({name for name, _ in found}) == len(found)


@given(st.text(st.characters(), max_size=300))
def test_a_partition_is_one_bounded_segment_of_a_path(text: str):
    found = safe(text)
    assert found.isascii()
    assert len(found) <= LONGEST_PARTITION
    assert not set(found) & set('/\\:*?"<>| \x00')
    assert not found.endswith(".")
    assert found != NULL


@pytest.mark.parametrize(("one", "other"), [("a" * 100, "a" * 101), ("..", ""), ("/", "%2F"), ("__null__", None)])
def test_different_values_have_different_partitions(one: str, other: str | None):
    assert safe(one) != safe(other)

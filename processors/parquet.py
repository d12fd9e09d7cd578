"""Committed pages as Parquet, with the schema of what was seen in them. Pure.

A column is as narrow as its values allow: true or false, whole numbers of 64 bits, floats, texts. Anything else, nested
or mixed, whole numbers over 64 bits and text that is no Unicode, is written as JSON, which is text and loses nothing.
"""

import hashlib
import io
import json
from collections.abc import Iterable
from typing import Any, Literal

from shared.pipeline.spec import Parquet

Kind = Literal["boolean", "integer", "number", "string", "json"]

JSON_COLUMNS = "json_columns"
"""In the metadata of an object: the names of its columns whose texts are JSON."""

LARGEST = 2**63
EXACT = 2**53
"""Whole numbers up to here are exact as floats."""


def parquet(lines: bytes, output: Parquet) -> tuple[bytes, bytes]:
    """The object, and the schema that stands beside it. The same lines give the same bytes, for one version of
    pyarrow, which is loaded here because that takes a second."""
    import pyarrow as pa

    types = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    records = [json.loads(line) for line in lines.splitlines()]
    columns = {name: [record.get(name) for record in records] for name in _names(records)}
    kinds = {name: kind_of(values) for name, values in columns.items()}
    shown = _shown(columns)
    fields, arrays = [], []
    for name, values in columns.items():
        kind = types.get(kinds[name], pa.string())
        fields.append(pa.field(shown[name], kind))
        arrays.append(pa.array([_as(kinds[name], value) for value in values], type=kind))
    texts = [shown[name] for name, kind in kinds.items() if kind == "json"]
    data = as_object(pa.table(arrays, schema=pa.schema(fields)), texts, output.compression)
    return data, _schema({shown[name]: kind for name, kind in kinds.items()})


def as_object(table: Any, json_columns: Iterable[str], compression: str) -> bytes:
    """The bytes of a table, in whose metadata stands which of its texts are JSON."""
    from pyarrow.parquet import ParquetWriter

    sink = io.BytesIO()
    with ParquetWriter(sink, table.schema, compression=compression, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({JSON_COLUMNS: json.dumps(sorted(json_columns))})
    return sink.getvalue()


def schema_name(name: str, schema: bytes) -> str:
    """Beside the objects of the stream, under the hash of its content: each schema is there once."""
    pipeline, stream, *_ = name.split("/")
    return f"{pipeline}/{stream}/_schema/{hashlib.blake2b(schema, digest_size=12).hexdigest()}.json"


def kind_of(values: Iterable[Any]) -> Kind:
    """The narrowest kind that holds all of them exactly; null fits every kind."""
    found = {_kind(value) for value in values if value is not None}
    if {"wide integer", "number"} <= found:
        return "json"
    if "wide integer" in found:
        found = found - {"wide integer"} | {"integer"}
    if found == {"integer", "number"}:
        return "number"
    if not found:
        return "string"
    only: Any = found.pop() if len(found) == 1 else "json"
    return only  # type: ignore[no-any-return]  # one of the kinds, as no other is left


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        narrow = "integer" if abs(value) <= EXACT else "wide integer"
        return narrow if -LARGEST <= value < LARGEST else "json"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) and _is_unicode(value) else "json"


def _as(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    return float(value) if kind == "number" else value


def _names(records: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _shown(names: Iterable[str]) -> dict[str, str]:
    """Column names; one that is no Unicode is shown as JSON, and none is shown twice."""
    shown: dict[str, str] = {}
    taken = {name for name in names if _is_unicode(name)}
    for name in names:
        told = name
        if not _is_unicode(name):
            told = json.dumps(name)
            while told in taken:
                told += "_"
            taken.add(told)
        shown[name] = told
    return shown


def _schema(kinds: dict[str, Kind]) -> bytes:
    """Like JSON Schema; columns by name, because their order means nothing."""
    properties = {
        name: {"type": ["string", "null"], "format": "json"} if kind == "json" else {"type": [kind, "null"]}
        for name, kind in sorted(kinds.items())
    }
    return (json.dumps({"type": "object", "properties": properties}, indent=1) + "\n").encode("ascii")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

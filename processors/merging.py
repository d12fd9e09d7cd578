"""Objects of one kind made into one that holds the same records. Pure."""

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import zstandard

from processors.parquet import EXACT, JSON_COLUMNS, as_object

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
"""Of what can be merged."""

JSON = "json"
"""Stands for the type of a column whose texts are JSON."""


def suffix_of(name: str) -> str | None:
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def merged(parts: Sequence[bytes], suffix: str) -> bytes:
    """One object with the records of all parts, in their order."""
    match suffix:
        case ".jsonl.gz":
            return gzip.compress(b"".join(map(gzip.decompress, parts)), compresslevel=6, mtime=0)
        case ".jsonl.zst":
            lines = b"".join(zstandard.ZstdDecompressor().decompress(part) for part in parts)
            return zstandard.ZstdCompressor(level=3).compress(lines)
        case ".parquet":
            return _one_table(parts)
        case _:
            return b"".join(parts)


def _one_table(parts: Sequence[bytes]) -> bytes:
    """Columns as wide as all parts together need: whole numbers become floats where none is changed by that, and
    whatever else differs becomes JSON. What is null throughout says nothing of its kind."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    files = [ParquetFile(io.BytesIO(part)) for part in parts]
    tables = [file.read() for file in files]
    compression = files[0].metadata.row_group(0).column(0).compression
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    kinds = {name: _kind_of_all(name, tables) for name in names}
    fields = [pa.field(name, pa.string() if kind == JSON else kind) for name, kind in kinds.items()]
    table = pa.concat_tables([_widened(table, kinds, fields) for table in tables])
    return as_object(table, [name for name, kind in kinds.items() if kind == JSON], compression)


def _kind_of_all(name: str, tables: Sequence[Any]) -> Any:
    """The type of the column of all tables, or JSON."""
    import pyarrow as pa

    there = [table for table in tables if name in table.column_names]
    there = [table for table in there if table.column(name).null_count < table.num_rows]
    kinds = {_kind(name, table) for table in there}
    if not kinds:
        return pa.string()
    if kinds == {pa.int64(), pa.float64()}:
        whole = (table.column(name) for table in there if _kind(name, table) == pa.int64())
        return pa.float64() if all(map(_is_exact, whole)) else JSON
    return kinds.pop() if len(kinds) == 1 else JSON


def _kind(name: str, table: Any) -> Any:
    texts = (table.schema.metadata or {}).get(JSON_COLUMNS.encode(), b"[]")
    return JSON if name in json.loads(texts) else table.schema.field(name).type


def _is_exact(column: Any) -> bool:
    """Whether a float holds every whole number of the column."""
    import pyarrow.compute as pc

    bounds = pc.min_max(column).as_py()
    return bool(max(abs(bounds["min"]), abs(bounds["max"])) <= EXACT)


def _widened(table: Any, kinds: Mapping[str, Any], fields: Sequence[Any]) -> Any:
    import pyarrow as pa

    columns = [
        _as(field, kinds[field.name], table)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in fields
    ]
    return pa.table(columns, schema=pa.schema(fields))


def _as(field: Any, kind: Any, table: Any) -> Any:
    import pyarrow as pa

    column = table.column(field.name)
    if _kind(field.name, table) == kind:
        return column
    if kind != JSON or column.null_count == len(column):
        return column.cast(field.type)
    texts = [None if value is None else json.dumps(value) for value in column.to_pylist()]
    return pa.array(texts, type=pa.string())

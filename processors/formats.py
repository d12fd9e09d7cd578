"""How committed pages look as objects of an output. Pure: the same pages give the same names and bytes."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import zstandard

from processors.parquet import parquet, schema_name
from shared.pipeline.spec import JsonLines, Parquet

LATER = "*"
"""Stands in a plan's name for a partition that only the record knows."""

NULL = "__null__"
LONGEST_PARTITION = 80
"""Characters of a partition's value in a name; a longer one is cut and told apart by its hash."""


def objects_of(name: str, output: JsonLines | Parquet, pages: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each object that the plan `name` makes of `pages`, which are JSON Lines."""
    lines = b"".join(pages)
    if LATER not in name:
        yield from encoded(name, lines, output)
        return
    fields = [field.removeprefix("record.").split(".") for field in output.partition_by if "." in field]
    parts: dict[str, list[bytes]] = {}
    for line in lines.splitlines(keepends=True):
        record = json.loads(line)
        filled = name
        for field in fields:
            filled = filled.replace(LATER, safe(_value(record, field)), 1)
        parts.setdefault(filled, []).append(line)
    for filled, own in parts.items():
        yield from encoded(filled, b"".join(own), output)


def encoded(name: str, lines: bytes, output: JsonLines | Parquet) -> Iterator[tuple[str, bytes]]:
    """The object, and before it what stands beside it."""
    if isinstance(output, Parquet):
        data, schema = parquet(lines, output)
        yield schema_name(name, schema), schema
        yield name, data
    else:
        yield name, compressed(lines, output)


def compressed(lines: bytes, output: JsonLines) -> bytes:
    match output.compression:
        case "gzip":
            return gzip.compress(lines, compresslevel=6, mtime=0)
        case "zstd":
            return zstandard.ZstdCompressor(level=3).compress(lines)
        case "none":
            return lines


def folder(output: JsonLines | Parquet, date: str, user: str) -> str:
    """The partitions of an object as folders, those that only its records know still open."""
    known = {"date": date, "user": safe(user)}
    steps = (f"{field.removeprefix('record.')}={known.get(field, LATER)}" for field in output.partition_by)
    return "".join(f"{step}/" for step in steps)


def safe(value: Any) -> str:
    """A partition's value as one segment of a path: bounded, and null unlike any text."""
    if value is None:
        return NULL
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    quoted = quote(text, safe="", errors="surrogatepass").replace("~", "%7E")
    if quoted.startswith("_"):
        quoted = "%5F" + quoted[1:]
    if quoted.endswith("."):
        quoted = quoted[:-1] + "%2E"
    if len(quoted) <= LONGEST_PARTITION:
        return quoted
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{quoted[: LONGEST_PARTITION - 17]}~{digest}"


def _value(record: Any, field: list[str]) -> Any:
    for name in field:
        record = record.get(name) if isinstance(record, dict) else None
    return record

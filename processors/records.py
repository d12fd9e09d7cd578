"""What becomes of the records of a page: which are new to this user, and how they look in the output. Pure."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import zstandard

from shared.checkpoint import Checkpoint
from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at
from shared.pipeline.responses import Record
from shared.pipeline.spec import Stream

KEY_BYTES = 12
CONTENT_BYTES = 8
ENTRY_BYTES = KEY_BYTES + CONTENT_BYTES

OURS = re.compile(r"_+(user|run|page|mined_at)")
"""Every output line has these fields, with one underscore, besides the record's own."""

SeenKeys = dict[bytes, bytes]
"""Hash of a primary key → hash of the content last kept under it."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """The records to keep, how many were not, and what the dedupe index learns."""

    kept: list[Record]
    duplicates: int
    learned: bytes


def sift(records: list[Record], stream: Stream, seen: SeenKeys) -> Sifted:
    """Drop what the user already has, as the stream's `emit` says. `seen` is not changed.

    Records whose primary key is missing or null can't be compared and are kept. Without a primary key all are.
    """
    if not stream.primary_key:
        return Sifted(records, 0, b"")
    kept: list[Record] = []
    learned: SeenKeys = {}
    for record in records:
        key = _key_hash(record, stream.primary_key)
        if key is None:
            kept.append(record)
            continue
        content = _content_hash(record)
        known = learned.get(key) or seen.get(key)
        if known is None or (known != content and stream.emit != "new"):
            kept.append(record)
            learned[key] = content
    return Sifted(kept, len(records) - len(kept), b"".join(key + content for key, content in learned.items()))


def contradicts(records: list[Record], stream: Stream, learned: SeenKeys) -> bool:
    """Whether one of these records has been learned with other content: which is the newer one can't be told."""
    for record in records:
        key = _key_hash(record, stream.primary_key) if stream.primary_key else None
        if key in learned and learned[key] != _content_hash(record):
            return stream.emit != "new"
    return False


def writable(records: list[Record]) -> list[Record]:
    """The records that can be written as JSON."""
    return [record for record in records if _is_writable(record)]


def _is_writable(record: Record) -> bool:
    try:
        _json(record)
    except MalformedResponse:
        return False
    return True


def learn(seen: SeenKeys, rows: bytes) -> None:
    """Put what an index row holds into `seen`."""
    for start in range(0, len(rows), ENTRY_BYTES):
        middle = start + KEY_BYTES
        seen[rows[start:middle]] = rows[middle : start + ENTRY_BYTES]


def output_lines(records: list[Record], checkpoint: Checkpoint, mined_at: datetime) -> bytes:
    """JSON Lines of the page that `checkpoint` is waiting for.

    Pure ASCII, so that any Unicode a source sends, lone surrogates included, survives every reader. A field of the
    source that is called like one of ours, with however many underscores, gets another one in front. Raises
    MalformedResponse for a number that JSON can write and a float can't hold.
    """
    ours = {
        "_user": checkpoint.key.user,
        "_run": checkpoint.run,
        "_page": checkpoint.next_seq,
        "_mined_at": mined_at.isoformat(timespec="milliseconds"),
    }
    tail = json.dumps(ours)[1:] + "\n"
    return "".join(_line(record, tail) for record in records).encode("ascii")


def compressed(lines: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(lines)


def decompressed(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def _line(record: Record, tail: str) -> str:
    if any(OURS.fullmatch(name) for name in record):
        record = {f"_{name}" if OURS.fullmatch(name) else name: value for name, value in record.items()}
    own = _json(record)
    return f"{own[:-1]}, {tail}" if record else "{" + tail


def _json(value: Any, *, sort_keys: bool = False) -> str:
    try:
        return json.dumps(value, sort_keys=sort_keys, allow_nan=False)
    except ValueError:
        raise MalformedResponse("found a number like 1e999, allowed: numbers that fit 64-bit floats") from None
    except RecursionError:
        raise MalformedResponse("found a record that is nested too deep") from None


def _key_hash(record: Record, paths: tuple[str, ...]) -> bytes | None:
    parts = [record.get(path) if path.isidentifier() else found_at(path, record) for path in paths]
    if any(part is None for part in parts):
        return None
    texts = [part if isinstance(part, str) else json.dumps(part, sort_keys=True) for part in parts]
    return _hash(texts, KEY_BYTES)


def _content_hash(record: Record) -> bytes:
    return _hash(_json(record, sort_keys=True), CONTENT_BYTES)


def _hash(value: Any, size: int) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return hashlib.blake2b(text.encode("ascii"), digest_size=size).digest()

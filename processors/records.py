"""What becomes of the records of a page: which are new to this user, and how they look in the output. Pure."""

import hashlib
import json
import re
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import zstandard

from processors.field_paths import without
from processors.json_text import compared, written
from shared.checkpoint import Checkpoint
from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at
from shared.pipeline.responses import Record
from shared.pipeline.spec import Stream

KEY_BYTES = 12
CONTENT_BYTES = 8
ENTRY_BYTES = KEY_BYTES + CONTENT_BYTES
ENTRY = struct.Struct(f"{KEY_BYTES}s{CONTENT_BYTES}s")

TOMBSTONE = b"\0deleted"
"""Stands in the index for the content of a record that says it is deleted."""

OURS = re.compile(r"_+(user|run|page|mined_at|deleted|session)")
"""Every output line has these fields, with one underscore, besides the record's own; `_deleted` where it is true,
`_session` where the file asks for sessions."""

SeenKeys = dict[bytes, bytes]
"""Hash of a primary key → hash of the content last kept under it."""


class Seen(Protocol):
    """The same, where it can only be asked."""

    def get(self, key: bytes, /) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Sifted:
    """The records to keep, how many were not, and what the dedupe index learns.

    `deleted` are the places in `kept` of those that say they are deleted.
    """

    kept: list[Record]
    duplicates: int
    learned: bytes
    deleted: frozenset[int] = frozenset()


def sift(records: list[Record], stream: Stream, seen: Seen, since: SeenKeys | None = None) -> Sifted:
    """Drop what the user already has, as the stream's `emit` says: what was `seen`, and `since`. Neither is changed.

    Records whose primary key is missing or null can't be compared and are kept. Without a primary key all are.
    """
    if not stream.primary_key:
        return Sifted(records, 0, b"")
    kept: list[Record] = []
    deleted: set[int] = set()
    learned: SeenKeys = {}
    later = since or {}
    for record in records:
        is_deleted = _is_deleted(record, stream)
        key = _key_hash(record, stream.primary_key)
        if key is not None:
            content = _content_of(record, stream)
            if not _is_wanted(content, learned.get(key) or later.get(key) or seen.get(key), stream):
                continue
            learned[key] = content
        if is_deleted:
            deleted.add(len(kept))
        kept.append(record)
    rows = b"".join(key + content for key, content in learned.items())
    return Sifted(kept, len(records) - len(kept), rows, frozenset(deleted))


def _content_of(record: Record, stream: Stream) -> bytes:
    """What the index knows of the record besides its key."""
    return TOMBSTONE if _is_deleted(record, stream) else _content_hash(record, stream.ignore_changes)


def contradicts(records: list[Record], stream: Stream, learned: SeenKeys) -> bool:
    """Whether one of these records has been learned with other content: which is the newer one can't be told."""
    for record in records:
        key = _key_hash(record, stream.primary_key) if stream.primary_key else None
        if key in learned and learned[key] != _content_of(record, stream):
            return stream.emit != "new"
    return False


def alive(records: list[Record], stream: Stream) -> list[Record]:
    """The records that don't say they are deleted."""
    return [record for record in records if not _is_deleted(record, stream)]


def writable(records: list[Record]) -> list[Record]:
    """The records that can be written as JSON."""
    return [record for record in records if _is_writable(record)]


def _is_writable(record: Record) -> bool:
    try:
        written(record)
    except MalformedResponse:
        return False
    return True


def learn(seen: SeenKeys, rows: bytes) -> None:
    """Put what an index row holds into `seen`."""
    seen.update(entries_of(rows))


def entries_of(rows: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Keys and contents, one after the other."""
    return ENTRY.iter_unpack(rows)


def output_lines(
    records: list[Record],
    checkpoint: Checkpoint,
    mined_at: datetime,
    deleted: Collection[int] = (),
    sessions: Sequence[str] | None = None,
) -> bytes:
    """JSON Lines of the page that `checkpoint` is waiting for. `deleted` are the places of records that are gone,
    `sessions` says by place when the session of a record began.

    Pure ASCII, so that any Unicode a source sends, lone surrogates included, survives every reader. A field of the
    source that is called like one of ours, with however many underscores, gets another one in front. Raises
    MalformedResponse for a number that JSON can write and a float can't hold.
    """
    ours: Record = {
        "_user": checkpoint.key.user,
        "_run": checkpoint.run,
        "_page": checkpoint.next_seq,
        "_mined_at": mined_at.isoformat(timespec="milliseconds"),
    }
    tail, of_deleted = _tail(ours), _tail(ours | {"_deleted": True})
    lines = []
    for place, record in enumerate(records):
        behind = of_deleted if place in deleted else tail
        if sessions is not None and sessions[place]:
            behind = f'"_session":"{sessions[place]}",{behind}'
        lines.append(_line(record, behind))
    return "".join(lines).encode("ascii")


def _tail(ours: Record) -> str:
    return json.dumps(ours, separators=(",", ":"))[1:] + "\n"


def compressed(lines: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(lines)


def decompressed(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def _line(record: Record, tail: str) -> str:
    if any(name.startswith("_") and OURS.fullmatch(name) for name in record):
        record = {f"_{name}" if OURS.fullmatch(name) else name: value for name, value in record.items()}
    own = written(record)
    return f"{own[:-1]},{tail}" if record else "{" + tail


def _key_hash(record: Record, paths: tuple[str, ...]) -> bytes | None:
    parts = [record.get(path) if path.isidentifier() else found_at(path, record) for path in paths]
    if any(part is None for part in parts):
        return None
    texts = [part if isinstance(part, str) else _text_of(part) for part in parts]
    return hashlib.blake2b(compared(texts), digest_size=KEY_BYTES).digest()


def _text_of(part: object) -> str:
    """As `compared` has it; most keys are whole numbers, and those need no encoder."""
    return str(part) if type(part) is int else compared(part).decode()


def _content_hash(record: Record, ignored: tuple[str, ...]) -> bytes:
    kept = without(record, ignored) if ignored else record
    return hashlib.blake2b(compared(kept), digest_size=CONTENT_BYTES).digest()


def _is_deleted(record: Record, stream: Stream) -> bool:
    return stream.deleted is not None and stream.deleted.is_said_by(found_at(stream.deleted.path, record))


def _is_wanted(content: bytes, known: bytes | None, stream: Stream) -> bool:
    """With `emit: new` a known record is wanted when it goes and when it comes back."""
    if known is None or known == content:
        return known is None
    return stream.emit != "new" or TOMBSTONE in (known, content)

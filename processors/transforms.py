"""What is done with the records that are kept: what a source calls a record, and what the output shows of it. Pure.

Dedupe comes before, so a record is the same as long as the source says so, whatever is left of it here.
"""

import hashlib
import hmac
from typing import Any

from processors.field_paths import Change, Record, changed, moved, only, without
from processors.json_text import compared
from shared.pipeline.extraction import transformed_by
from shared.pipeline.spec import Custom, Drop, Redact, Rename, Select, Stream, Transform
from shared.pipeline.templates import Scopes, render

MASK = "***"


def transformed(records: list[Record], stream: Stream, scopes: Scopes) -> list[Record]:
    """Each record after the stream's transforms, in their order; none is changed in place, none is left out.

    Raises RequestRejected naming the placeholder of a salt that the user has no value for, MalformedResponse for a
    record that can't be written so.
    """
    for transform in stream.transforms:
        records = _after(transform, records, scopes)
    return records


def _after(transform: Transform, records: list[Record], scopes: Scopes) -> list[Record]:
    match transform:
        case Select(fields=paths):
            return [only(record, paths) for record in records]
        case Drop(fields=paths):
            return [without(record, paths) for record in records]
        case Rename(fields=paths):
            return [moved(record, paths) for record in records]
        case Redact(fields=paths):
            change = _redaction(transform, scopes)
            return [changed(record, paths, change) for record in records]
        case Custom() as custom:
            return list(map(transformed_by(custom, lambda template: render(template, scopes)), records))


def _redaction(redact: Redact, scopes: Scopes) -> Change:
    salt = render(redact.salt or "", scopes).encode("utf-8", "surrogatepass")

    def change(inside: Record, name: str) -> None:
        if inside[name] is not None:
            inside[name] = MASK if redact.method == "mask" else _hashed(inside[name], salt)

    return change


def _hashed(value: Any, salt: bytes) -> str:
    """HMAC-SHA-256; a number and its text have the same, as they have for primary keys."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else compared(value)
    return hmac.new(salt, data, hashlib.sha256).hexdigest()

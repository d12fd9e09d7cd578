"""Committed pages as messages of a queue or topic. Pure: the same page gives the same messages under the same ids."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from processors.records import decompressed
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.service_bus import Outgoing
from shared.messages import StreamKey
from shared.pipeline.spec import ServiceBusMessages

LARGEST_BODY = 200_000
"""Bytes of a message: the standard tier takes 256 KiB, properties included."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A record that no message holds, even compressed."""

    message_id: str
    line: bytes


def messages_of(key: StreamKey, page: CommittedPage, output: ServiceBusMessages) -> list[Outgoing | TooLarge]:
    """The records of a page in order, at most `batch` to a message, and no more than fit."""
    return [
        _message(key, page, output, part, piece)
        for part, piece in enumerate(_pieces(decompressed(page.lines).splitlines(keepends=True), output.batch))
    ]


def too_large_name(key: StreamKey, too_large: TooLarge) -> str:
    """Where such a record is kept instead."""
    digest = hashlib.blake2b(too_large.message_id.encode(), digest_size=8).hexdigest()
    return f"_too_large/{key.pipeline}/{key.stream}/{too_large.message_id.replace('/', '-')}-{digest}.jsonl"


def _pieces(lines: list[bytes], most: int) -> Iterator[bytes]:
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and (len(piece) == most or size + len(line) > LARGEST_BODY):
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield b"".join(piece)


def _message(
    key: StreamKey, page: CommittedPage, output: ServiceBusMessages, part: int, lines: bytes
) -> Outgoing | TooLarge:
    message_id = f"records/{page.run}/{page.slice}/{page.seq}/{part}"
    above = LARGEST_BODY if output.compress_above is None else min(output.compress_above, LARGEST_BODY)
    packs = len(lines) > above
    body = gzip.compress(lines, mtime=0) if packs else lines
    if len(body) > LARGEST_BODY:
        return TooLarge(message_id, lines)
    properties = {"pipeline": key.pipeline, "stream": key.stream, "user": key.user, "page": str(page.seq)}
    if packs:
        properties["content_encoding"] = "gzip"
    return Outgoing(
        output.queue or output.topic or "",
        body,
        message_id,
        content_type="application/jsonl",
        properties=tuple(properties.items()),
        is_topic=output.topic is not None,
    )

"""Checkpoints, committed pages and the dedupe index: one partition per stream and user.

    checkpoint|all       where the run stands                   replaced with If-Match
    checkpoint|STRAND    where one of its strands stands        replaced with If-Match, together with that of the run
    page|RUN|SLICE|SEQ   a committed page that waits            inserted with the checkpoint, deleted when delivered
    seen|INDEX|POSITION  keys and content hashes of a page      inserted with the checkpoint, folded after runs
    passed|RUN|STREAM|N  what a page passes along, up to no. N  inserted with the checkpoint, deleted by the next run
    delivery             what delivery is about to write        see delivery_table.py

They share a partition because a page, its checkpoint and its index row become true in one transaction or not at all.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import zstandard

from shared.adapters import keys
from shared.adapters.objects import ObjectStore
from shared.adapters.tables import MAX_OPERATIONS, MAX_PROPERTY, Delete, Insert, Operation, Replace, Row, Table, Value
from shared.checkpoint import WHOLE, Checkpoint, RunState
from shared.errors import AlreadyExists, Conflict, Damaged, ErrorKind
from shared.messages import Priority, StreamKey
from shared.pipeline.chains import Passed, Values
from shared.pipeline.loop_guard import LoopGuard

LARGEST_ROW = 512 * 1024
"""Bytes of compressed page that go into the row itself; more goes to a blob that the row names."""

LAST = 9_999_999_999
"""No run passes along so many records."""

PAGE_FACTS = ("mined_at", "records", "size", "blob")
"""What delivery needs to know to plan, without the lines."""

PLAIN_FIELDS = tuple(
    field.name
    for field in fields(Checkpoint)
    if field.name not in {"key", "state", "priority", "guard", "last_error_kind", "etag"}
)


@dataclass(frozen=True, slots=True)
class CommittedPage:
    """A page as it waits in the outbox: `lines` are output lines, compressed; `size` counts them uncompressed.

    `blob` names the object that holds the lines where the row could not.
    """

    run: str
    slice: str
    seq: int
    mined_at: datetime
    records: int
    size: int
    lines: bytes
    blob: str = ""

    @property
    def row_key(self) -> str:
        return page_key(self.run, self.slice, self.seq)


def partition_of(key: StreamKey) -> str:
    return keys.key(key.pipeline, key.stream, key.user)


def page_key(run: str, slice_: str, seq: int) -> str:
    return f"page|{run}|{slice_}|{seq:08d}"


class CheckpointTable:
    """Reads and writes checkpoints; every write of one is conditional."""

    def __init__(self, table: Table, pages: ObjectStore):
        self._table = table
        self._pages = pages

    async def read(self, key: StreamKey, slice_: str = WHOLE) -> Checkpoint | None:
        row = await self._table.get(partition_of(key), f"checkpoint|{slice_}")
        return to_checkpoint(row) if row else None

    async def all(self) -> list[Checkpoint]:
        """Every checkpoint there is: for tools and reports, not for the path of a page."""
        return [to_checkpoint(row) async for row in self._table.scan(key=f"checkpoint|{WHOLE}")]

    async def insert(self, checkpoint: Checkpoint) -> Checkpoint:
        """Raises AlreadyExists: a run of this stream and user is there."""
        return replace(checkpoint, etag=await self._table.insert(to_row(checkpoint)))

    async def replace(self, checkpoint: Checkpoint) -> Checkpoint:
        """Raises Conflict if anybody has written since it was read."""
        return replace(checkpoint, etag=await self._table.replace(to_row(checkpoint)))

    async def strands(self, run: Checkpoint) -> list[Checkpoint]:
        """The strands of a run that is divided."""
        return [strand for strand in await self._strand_rows(run.key) if strand.run == run.run]

    async def _strand_rows(self, key: StreamKey) -> list[Checkpoint]:
        """Those of the run, or of one before it."""
        rows = await self._table.range(partition_of(key), "checkpoint|s", "checkpoint|t", MAX_OPERATIONS)
        return [to_checkpoint(row) for row in rows]

    async def divide(
        self,
        ledger: Checkpoint,
        strands: Sequence[Checkpoint],
        pages: Sequence[CommittedPage],
        seen: bytes,
        passed: Sequence[Passed] = (),
    ) -> tuple[Checkpoint, list[Checkpoint]]:
        """As `commit`, and the strands begin; those of the run before give way to them. Raises Conflict."""
        known = {strand.slice: strand.etag for strand in await self._strand_rows(ledger.key)}
        fresh = [replace(strand, etag=known.get(strand.slice)) for strand in strands]
        rows = [to_row(strand) for strand in fresh]
        writes: list[Operation] = [Replace(row) if row.etag else Insert(row) for row in rows]
        staged = await self._staged(ledger, pages, seen, passed)
        etags = await self._transact([Replace(to_row(ledger)), *writes, *staged])
        begun = [replace(strand, etag=etag) for strand, etag in zip(fresh, etags[1:], strict=False)]
        return replace(ledger, etag=etags[0]), begun

    async def replace_all(self, checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Together or not at all. Raises Conflict."""
        etags = await self._transact([Replace(to_row(each)) for each in checkpoints])
        return [replace(each, etag=etag) for each, etag in zip(checkpoints, etags, strict=True)]

    async def commit_strand(
        self,
        strand: Checkpoint,
        ledger: Checkpoint,
        pages: Sequence[CommittedPage],
        seen: bytes,
        passed: Sequence[Passed] = (),
    ) -> tuple[Checkpoint, Checkpoint]:
        """As `commit`; the index is that of the ledger, which is written too. Raises Conflict."""
        staged = await self._staged(ledger, pages, seen, passed)
        etags = await self._transact([Replace(to_row(ledger)), Replace(to_row(strand)), *staged])
        return replace(strand, etag=etags[1]), replace(ledger, etag=etags[0])

    async def commit(
        self, checkpoint: Checkpoint, pages: Sequence[CommittedPage], seen: bytes, passed: Sequence[Passed] = ()
    ) -> Checkpoint:
        """Pages, the index row and the checkpoint behind them, together or not at all.

        `checkpoint` is the one after the pages, with the ETag of the one before; a page of which no record is new is
        not among them; `seen` is what the index learns, empty for nothing; `passed` is for the streams that are fed.
        Raises Conflict when somebody else was first.
        """
        staged = await self._staged(checkpoint, pages, seen, passed)
        etags = await self._transact([Replace(to_row(checkpoint)), *staged])
        return replace(checkpoint, etag=etags[0])

    async def _staged(
        self, owner: Checkpoint, pages: Sequence[CommittedPage], seen: bytes, passed: Sequence[Passed]
    ) -> list[Operation]:
        """What is inserted beside a checkpoint; `owner` has counted the row of the index already."""
        partition = partition_of(owner.key)
        operations: list[Operation] = [Insert(await self._page_row(partition, page)) for page in pages]
        if seen:
            position = owner.index_position - 1
            operations.append(Insert(Row(partition, _seen_key(owner.index, position), _chunks(seen))))
        return operations + [Insert(row) for each in passed for row in passed_rows(partition, owner.run, each)]

    async def _transact(self, operations: Sequence[Operation]) -> list[str | None]:
        try:
            return await self._table.transact(operations)
        except AlreadyExists:
            raise Conflict("somebody else committed this page") from None

    async def seen(self, checkpoint: Checkpoint, since: int) -> list[bytes]:
        """Index rows from position `since` up to where the checkpoint stands.

        Raises Conflict where some are gone because the checkpoint is an old one, else Damaged.
        """
        wanted = checkpoint.index_position - since
        if wanted <= 0:
            return []
        first, last = _seen_key(checkpoint.index, since), _seen_key(checkpoint.index, checkpoint.index_position)
        rows = await self._table.range(partition_of(checkpoint.key), first, last, wanted)
        if len(rows) < wanted:
            latest = await self.read(checkpoint.key)
            if latest is None or latest.index != checkpoint.index:
                raise Conflict("the dedupe index has been folded, and its old rows removed")
            raise Damaged(f"{checkpoint.key}: the dedupe index has {len(rows)} of {wanted} rows from {since} on")
        return [_joined(row) for row in rows]

    async def indexes(self, key: StreamKey) -> list[str]:
        """The names of all dedupe indexes that have rows, whether a checkpoint names them or not."""
        names: list[str] = []
        first = "seen|"
        while rows := await self._table.range(partition_of(key), first, "seen}", 1, ()):
            names.append(rows[0].key.split("|")[1])
            first = f"seen|{names[-1]}}}"
        return names

    async def write_index(self, checkpoint: Checkpoint, rows: Sequence[bytes]) -> None:
        """The rows of an index that no checkpoint names yet."""
        partition = partition_of(checkpoint.key)
        for position, data in enumerate(rows):
            await self._table.insert(Row(partition, _seen_key(checkpoint.index, position), _chunks(data)))

    async def passed(self, parent: StreamKey, run: str, child: str, numbers: range) -> list[Values]:
        """What this run of the parent has passed along under these numbers, as far as it is there."""
        found: list[Values] = []
        while len(found) < len(numbers):
            first = passed_key(run, child, numbers[len(found)])
            rows = await self._table.range(partition_of(parent), first, passed_key(run, child, LAST), 1)
            if not rows:
                return found
            values: list[Values] = json.loads(zstandard.ZstdDecompressor().decompress(_joined(rows[0])))
            begin = int(rows[0].key.rpartition("|")[2]) + 1 - len(values)
            found += values[numbers[len(found)] - begin :]
        return found[: len(numbers)]

    async def forget_passed(self, parent: StreamKey, run: str) -> None:
        """What runs before this one have passed along."""
        partition = partition_of(parent)
        while rows := await self._table.range(partition, "passed|", f"passed|{run}|", MAX_OPERATIONS, ()):
            await self._table.transact([Delete(row) for row in rows])

    async def has_pages(self, key: StreamKey) -> bool:
        """Whether anything committed waits for delivery."""
        return bool(await self._table.range(partition_of(key), "page|", "page}", 1, PAGE_FACTS))

    async def forget_index(self, key: StreamKey, index: str) -> None:
        """Drop a dedupe index that no run will look at again."""
        partition = partition_of(key)
        while rows := await self._table.range(partition, f"seen|{index}|", f"seen|{index}}}", 100, ()):
            await self._table.transact([Delete(row) for row in rows])

    async def remove(self, key: StreamKey) -> None:
        """Everything known of this stream and user, undelivered pages included."""
        async for row in self._table.scan(partition=partition_of(key)):
            await self._table.delete(replace(row, etag=None))

    async def _page_row(self, partition: str, page: CommittedPage) -> Row:
        values: dict[str, Value] = {"mined_at": page.mined_at, "records": page.records, "size": page.size}
        if len(page.lines) <= LARGEST_ROW:
            return Row(partition, page.row_key, {**values, **_chunks(page.lines)})
        name = _blob_name(partition, page)
        with contextlib.suppress(AlreadyExists):  # the name is made from the content: what is there is this page
            await self._pages.write_once(name, page.lines)
        return Row(partition, page.row_key, {**values, "blob": name})


def _blob_name(partition: str, page: CommittedPage) -> str:
    """Made from the content, so that two fetches of a page that answered differently never share a name."""
    owner = hashlib.blake2b(partition.encode(), digest_size=8).hexdigest()
    content = hashlib.blake2b(page.lines, digest_size=12).hexdigest()
    return f"{owner}/{page.row_key.replace('|', '/')}-{content}.zst"


def passed_key(run: str, child: str, number: int) -> str:
    return f"passed|{run}|{child}|{number:010d}"


def passed_rows(partition: str, run: str, passed: Passed) -> list[Row]:
    """Rows named by the last number they hold, so that the first row from a number on is the one that has it."""
    text = json.dumps(passed.values, separators=(",", ":")).encode()
    data = zstandard.ZstdCompressor(level=3).compress(text)
    if len(data) > LARGEST_ROW and len(passed.values) > 1:
        return [row for half in passed.halves() for row in passed_rows(partition, run, half)]
    return [Row(partition, passed_key(run, passed.child, passed.last), _chunks(data))]


def _seen_key(index: str, position: int) -> str:
    return f"seen|{index}|{position:010d}"


def _chunks(data: bytes) -> dict[str, Value]:
    return {
        f"data{number:02d}": data[start : start + MAX_PROPERTY]
        for number, start in enumerate(range(0, len(data), MAX_PROPERTY))
    }


def _joined(row: Row) -> bytes:
    parts = sorted((name, value) for name, value in row.values.items() if name.startswith("data"))
    return b"".join(value for _, value in parts if isinstance(value, bytes))


def to_row(checkpoint: Checkpoint) -> Row:
    values: dict[str, Value | None] = {name: getattr(checkpoint, name) for name in PLAIN_FIELDS}
    values |= {
        "pipeline": checkpoint.key.pipeline,
        "stream": checkpoint.key.stream,
        "user": checkpoint.key.user,
        "state": str(checkpoint.state),
        "priority": str(checkpoint.priority),
        "repeats": checkpoint.guard.repeats,
        "laps": checkpoint.guard.laps,
        "tortoise": checkpoint.guard.tortoise,
        "last_error_kind": str(checkpoint.last_error_kind or ""),
    }
    present = {name: value for name, value in values.items() if value is not None}
    return Row(partition_of(checkpoint.key), f"checkpoint|{checkpoint.slice}", present, checkpoint.etag)


def to_checkpoint(row: Row) -> Checkpoint:
    values: dict[str, Any] = dict(row.values)
    kind = values["last_error_kind"]
    return Checkpoint(
        key=StreamKey(values["pipeline"], values["stream"], values["user"]),
        state=RunState(values["state"]),
        priority=Priority(values["priority"]),
        guard=LoopGuard(values["repeats"], values["laps"], values["tortoise"]),
        last_error_kind=ErrorKind(kind) if kind else None,
        etag=row.etag,
        **{name: values[name] for name in PLAIN_FIELDS if name in values},
    )


def to_page(row: Row) -> CommittedPage:
    _, run, slice_, seq = row.key.split("|")
    values: dict[str, Any] = row.values
    return CommittedPage(
        run=run,
        slice=slice_,
        seq=int(seq),
        mined_at=values["mined_at"],
        records=values["records"],
        size=values["size"],
        lines=_joined(row),
        blob=values.get("blob", ""),
    )

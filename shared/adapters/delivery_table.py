"""How far delivery is with one stream and user: a row of its own, so that miners and delivery never fight over an ETag.

A committed page *is* undelivered as long as its row exists, so there is no counter to keep in step. What the row
holds is, for each output, the plan: which pages the next object is made of, and its name. The plan is written before
the object, so a retry makes the same object under the same name, whatever has been committed since.

A page leaves the outbox when every output has it. An output that is ahead of another remembers, per run and slice,
the last page it has: pages of a slice are committed one after the other, so it has all before that too.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.adapters.checkpoint_table import PAGE_FACTS, CommittedPage, page_key, partition_of, to_page
from shared.adapters.objects import ObjectStore
from shared.adapters.tables import Delete, Operation, Replace, Row, Table, Value
from shared.errors import AlreadyExists, Conflict, ErrorKind
from shared.messages import StreamKey

MAX_PAGES = 90
"""Pages of one plan: all are deleted in the transaction that marks it delivered, which holds 100 rows."""

MOST_AHEAD = 200
"""Slices of runs that an output may be ahead of the slowest; one property must hold them for every output. After so
many it waits for the others."""

ONLY = "json_lines"
"""The output of a pipeline file that names none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The object `name` holds the pages whose row keys run from `first` to `last`, `pages` in number.

    `output` is the output as its pipeline file described it when the plan was made, empty for the usual one: an edit
    meanwhile must not give the object another name.
    """

    name: str
    first: str
    last: str
    pages: int
    records: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one output is: `ahead` has the last page it has by run and slice, where other outputs lack pages."""

    plan: Plan | None = None
    failures: int = 0
    ahead: Mapping[str, int] = field(default_factory=dict)

    def has(self, page: CommittedPage) -> bool:
        return page.seq <= self.ahead.get(_slice_of(page), -1)


NOTHING = Progress()


@dataclass(frozen=True, slots=True)
class Delivery:
    """Progress of every output, evidence of the last failure, and totals. `output` is the one in hand.

    `pages` and `records` count what every output has; `objects` counts plans that were carried out. `held_until` is
    when delivery comes back for an output whose batch was not full.
    """

    key: StreamKey
    outputs: Mapping[str, Progress] = field(default_factory=dict)
    attempt: int = 0
    failures: int = 0
    not_before: datetime | None = None
    held_until: datetime | None = None
    last_error_kind: ErrorKind | None = None
    last_error: str = ""
    pages: int = 0
    records: int = 0
    objects: int = 0
    output: str = field(default=ONLY, compare=False)
    others: tuple[str, ...] = field(default=(), compare=False)
    etag: str | None = field(default=None, compare=False, repr=False)

    @property
    def progress(self) -> Progress:
        return self.outputs.get(self.output, NOTHING)

    @property
    def plan(self) -> Plan | None:
        return self.progress.plan

    @property
    def failing(self) -> frozenset[str]:
        """Outputs whose last try failed."""
        return frozenset(name for name, each in self.outputs.items() if each.failures)

    def among(self, outputs: Iterable[str]) -> "Delivery":
        """With these outputs and no others: what was remembered of one that is gone is forgotten."""
        names = tuple(outputs)
        return replace(self, outputs={name: self.outputs[name] for name in names if name in self.outputs}, others=names)

    def of(self, output: str) -> "Delivery":
        """With this output in hand."""
        return replace(self, output=output)

    def planned(self, plan: Plan) -> "Delivery":
        return self._with({self.output: replace(self.progress, plan=plan)})

    def delivered(self, pages: Sequence[CommittedPage] = ()) -> "Delivery":
        """The plan is carried out."""
        if self.plan is None:
            return self
        ahead = dict(self.progress.ahead)
        for page in pages:
            ahead[_slice_of(page)] = max(page.seq, ahead.get(_slice_of(page), -1))
        done = self._with({self.output: Progress(ahead=ahead)})
        gone = pages_of_everybody(self, pages)
        healthy = not done.failing
        return replace(
            done.without_needless(),
            failures=0 if healthy else self.failures,
            not_before=None if healthy else self.not_before,
            pages=self.pages + len(gone),
            records=self.records + sum(page.records for page in gone),
            objects=self.objects + 1,
        )

    def everybody_has(self, page: CommittedPage) -> bool:
        return all(self.outputs.get(name, NOTHING).has(page) for name in self.others or (self.output,))

    def without_needless(self) -> "Delivery":
        """Nobody need remember pages of a slice that every output has: they have left the outbox."""
        names = self.others or (self.output,)
        slices = {each for progress in self.outputs.values() for each in progress.ahead}
        least = {each: min(self.outputs.get(name, NOTHING).ahead.get(each, -1) for name in names) for each in slices}
        kept = {
            name: replace(each, ahead={at: seq for at, seq in each.ahead.items() if seq > least[at]})
            for name, each in self.outputs.items()
        }
        return replace(self, outputs={})._with(kept)

    def failed(self, until: datetime, kind: ErrorKind, error: str, outputs: Iterable[str] = (ONLY,)) -> "Delivery":
        told = {
            name: replace(found, failures=found.failures + 1)
            for name in outputs
            for found in [self.outputs.get(name, NOTHING)]
        }
        postponed = self.postponed(until)._with(told)
        return replace(postponed, failures=self.failures + 1, last_error_kind=kind, last_error=error)

    def postponed(self, until: datetime) -> "Delivery":
        return replace(self, attempt=self.attempt + 1, not_before=until)

    def held(self, until: datetime) -> "Delivery":
        """To be come back for, under a new attempt; what is tried before is not postponed."""
        return replace(self, attempt=self.attempt + 1, held_until=until)

    def _with(self, outputs: Mapping[str, Progress]) -> "Delivery":
        changed = {**self.outputs, **outputs}
        return replace(self, outputs={name: each for name, each in changed.items() if each != NOTHING})


class DeliveryTable:
    """Reads and writes delivery rows, and takes pages out of the outbox."""

    def __init__(self, table: Table, pages: ObjectStore):
        self._table = table
        self._pages = pages

    async def read(self, key: StreamKey) -> Delivery:
        row = await self._table.get(partition_of(key), "delivery")
        return _to_delivery(key, row) if row else Delivery(key)

    async def all(self) -> list[Delivery]:
        """Every delivery row: for tools and reports."""
        rows = [row async for row in self._table.scan(key="delivery")]
        return [_to_delivery(StreamKey(*map(str, _names(row))), row) for row in rows]

    async def write(self, delivery: Delivery) -> Delivery:
        """Raises Conflict if anybody has written since it was read."""
        row = _to_row(delivery)
        try:
            etag = await (self._table.replace(row) if row.etag else self._table.insert(row))
        except AlreadyExists:
            raise Conflict("somebody else wrote the first delivery row") from None
        return replace(delivery, etag=etag)

    async def waiting(self, key: StreamKey, progress: Progress = NOTHING) -> list[CommittedPage]:
        """The oldest committed pages that the output lacks, at most MAX_PAGES, without their lines."""
        first = "page|"
        while True:
            rows = await self._table.range(partition_of(key), first, "page}", MAX_PAGES, PAGE_FACTS)
            pages = [to_page(row) for row in rows]
            lacking = [page for page in pages if not progress.has(page)]
            if lacking or len(rows) < MAX_PAGES:
                return lacking
            last = pages[-1]
            first = page_key(last.run, last.slice, progress.ahead[_slice_of(last)] + 1)

    async def settle(self, delivery: Delivery, outputs: Sequence[str]) -> Delivery:
        """Only these outputs are left: write it down, and take pages out of the outbox that all of them have.

        Raises Conflict. Cut off, it is begun anew, because the row says so last.
        """
        settled, partition, first = delivery.among(outputs), partition_of(delivery.key), "page|"
        while True:
            rows = await self._table.range(partition, first, "page}", MAX_PAGES, PAGE_FACTS)
            pages = [page for page in map(to_page, rows) if settled.everybody_has(page)]
            is_last = len(rows) < MAX_PAGES
            row = settled.without_needless() if is_last else delivery
            operations: list[Operation] = [Replace(_to_row(row))]
            operations += [Delete(Row(partition, page.row_key)) for page in pages]
            etag = (await self._table.transact(operations))[0]
            await self._delete_blobs(pages)
            settled, delivery = replace(settled, etag=etag), replace(delivery, etag=etag)
            if is_last:
                return settled.without_needless()
            first = rows[-1].key + " "

    async def all_waiting(self, key: StreamKey) -> AsyncIterator[CommittedPage]:
        """Every committed page, without its lines: for tools and reports."""
        first = "page|"
        while rows := await self._table.range(partition_of(key), first, "page}", MAX_PAGES, PAGE_FACTS):
            for row in rows:
                yield to_page(row)
            first = rows[-1].key + "|"

    async def pages(self, key: StreamKey, plan: Plan) -> list[CommittedPage]:
        """The pages of a plan with their lines. Raises Conflict if the plan is not whole any more."""
        rows = await self._table.range(partition_of(key), plan.first, plan.last + "}", plan.pages + 1)
        if len(rows) != plan.pages:
            raise Conflict("the plan was carried out by somebody else")
        return [await self._with_lines(to_page(row)) for row in rows]

    async def mark_delivered(self, delivery: Delivery, pages: list[CommittedPage]) -> Delivery:
        """Forget the plan, and its pages as far as every output has them, in one transaction. Raises Conflict."""
        partition, done = partition_of(delivery.key), delivery.delivered(pages)
        gone = pages_of_everybody(delivery, pages)
        operations: list[Operation] = [Replace(_to_row(done))]
        operations += [Delete(Row(partition, page.row_key)) for page in gone]
        etags = await self._table.transact(operations)
        await self._delete_blobs(gone)
        return replace(done, etag=etags[0])

    async def _delete_blobs(self, pages: Iterable[CommittedPage]) -> None:
        for page in pages:
            if page.blob:
                await self._pages.delete(page.blob)

    async def _with_lines(self, page: CommittedPage) -> CommittedPage:
        if not page.blob:
            return page
        lines = await self._pages.read(page.blob)
        if lines is None:
            raise Conflict("the page was delivered by somebody else")
        return replace(page, lines=lines)


def pages_of_everybody(delivery: Delivery, pages: Iterable[CommittedPage]) -> list[CommittedPage]:
    """Those of the plan in hand that no other output lacks."""
    others = [name for name in delivery.others if name != delivery.output]
    return [page for page in pages if all(delivery.outputs.get(name, NOTHING).has(page) for name in others)]


def _slice_of(page: CommittedPage) -> str:
    return f"{page.run}|{page.slice}"


def _names(row: Row) -> tuple[Value, Value, Value]:
    return row.values["pipeline"], row.values["stream"], row.values["user"]


def _to_row(delivery: Delivery) -> Row:
    values: dict[str, Value | None] = {
        "pipeline": delivery.key.pipeline,
        "stream": delivery.key.stream,
        "user": delivery.key.user,
        "attempt": delivery.attempt,
        "failures": delivery.failures,
        "not_before": delivery.not_before,
        "held_until": delivery.held_until,
        "last_error_kind": str(delivery.last_error_kind or ""),
        "last_error": delivery.last_error,
        "pages": delivery.pages,
        "records": delivery.records,
        "objects": delivery.objects,
    }
    if delivery.outputs:
        values["outputs"] = json.dumps({name: asdict(each) for name, each in delivery.outputs.items()})
    present = {name: value for name, value in values.items() if value is not None}
    return Row(partition_of(delivery.key), "delivery", present, delivery.etag)


def _to_delivery(key: StreamKey, row: Row) -> Delivery:
    values: dict[str, Any] = row.values
    kind = values["last_error_kind"]
    outputs = {name: _to_progress(each) for name, each in json.loads(values.get("outputs", "{}")).items()}
    if "plan_name" in values:  # written before there were several outputs
        found = (values[f"plan_{name}"] for name in ("name", "first", "last", "pages", "records"))
        outputs[ONLY] = Progress(Plan(*found))
    return Delivery(
        key=key,
        outputs=outputs,
        attempt=values["attempt"],
        failures=values["failures"],
        not_before=values.get("not_before"),
        held_until=values.get("held_until"),
        last_error_kind=ErrorKind(kind) if kind else None,
        last_error=values["last_error"],
        pages=values["pages"],
        records=values["records"],
        objects=values["objects"],
        etag=row.etag,
    )


def _to_progress(found: dict[str, Any]) -> Progress:
    return Progress(**{**found, "plan": Plan(**found["plan"]) if found["plan"] else None})

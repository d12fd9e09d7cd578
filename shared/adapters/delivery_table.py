"""How far delivery is with one stream and user: a row of its own, so that miners and delivery never fight over an ETag.

A committed page *is* undelivered as long as its row exists, so there is no counter to keep in step. What the row
holds is the plan: which pages the next object is made of, and its name. The plan is written before the object, so a
retry makes the same object under the same name, whatever has been committed since.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.adapters.checkpoint_table import PAGE_FACTS, CommittedPage, partition_of, to_page
from shared.adapters.objects import ObjectStore
from shared.adapters.tables import Delete, Operation, Replace, Row, Table, Value
from shared.errors import AlreadyExists, Conflict, ErrorKind
from shared.messages import StreamKey

MAX_PAGES = 90
"""Pages of one plan: all are deleted in the transaction that marks it delivered, which holds 100 rows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The object `name` holds the pages whose row keys run from `first` to `last`, `pages` in number."""

    name: str
    first: str
    last: str
    pages: int
    records: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """Progress, evidence of the last failure, and totals."""

    key: StreamKey
    plan: Plan | None = None
    attempt: int = 0
    failures: int = 0
    not_before: datetime | None = None
    last_error_kind: ErrorKind | None = None
    last_error: str = ""
    pages: int = 0
    records: int = 0
    objects: int = 0
    etag: str | None = field(default=None, compare=False, repr=False)

    def planned(self, plan: Plan) -> "Delivery":
        return replace(self, plan=plan)

    def delivered(self) -> "Delivery":
        """The plan is carried out."""
        if self.plan is None:
            return self
        return replace(
            self,
            plan=None,
            failures=0,
            not_before=None,
            pages=self.pages + self.plan.pages,
            records=self.records + self.plan.records,
            objects=self.objects + 1,
        )

    def failed(self, until: datetime, kind: ErrorKind, error: str) -> "Delivery":
        return replace(self.postponed(until), failures=self.failures + 1, last_error_kind=kind, last_error=error)

    def postponed(self, until: datetime) -> "Delivery":
        return replace(self, attempt=self.attempt + 1, not_before=until)


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

    async def waiting(self, key: StreamKey) -> list[CommittedPage]:
        """The oldest committed pages, at most MAX_PAGES, without their lines."""
        rows = await self._table.range(partition_of(key), "page|", "page}", MAX_PAGES, PAGE_FACTS)
        return [to_page(row) for row in rows]

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
        """Forget the pages of the plan and the plan itself, in one transaction. Raises Conflict."""
        partition, done = partition_of(delivery.key), delivery.delivered()
        operations: list[Operation] = [Replace(_to_row(done))]
        operations += [Delete(Row(partition, page.row_key)) for page in pages]
        etags = await self._table.transact(operations)
        for page in pages:
            if page.blob:
                await self._pages.delete(page.blob)
        return replace(done, etag=etags[0])

    async def _with_lines(self, page: CommittedPage) -> CommittedPage:
        if not page.blob:
            return page
        lines = await self._pages.read(page.blob)
        if lines is None:
            raise Conflict("the page was delivered by somebody else")
        return replace(page, lines=lines)


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
        "last_error_kind": str(delivery.last_error_kind or ""),
        "last_error": delivery.last_error,
        "pages": delivery.pages,
        "records": delivery.records,
        "objects": delivery.objects,
    }
    if plan := delivery.plan:
        values |= {
            "plan_name": plan.name,
            "plan_first": plan.first,
            "plan_last": plan.last,
            "plan_pages": plan.pages,
            "plan_records": plan.records,
        }
    present = {name: value for name, value in values.items() if value is not None}
    return Row(partition_of(delivery.key), "delivery", present, delivery.etag)


def _to_delivery(key: StreamKey, row: Row) -> Delivery:
    values: dict[str, Any] = row.values
    kind = values["last_error_kind"]
    plan = None
    if "plan_name" in values:
        plan = Plan(
            values["plan_name"],
            values["plan_first"],
            values["plan_last"],
            values["plan_pages"],
            values["plan_records"],
        )
    return Delivery(
        key=key,
        plan=plan,
        attempt=values["attempt"],
        failures=values["failures"],
        not_before=values.get("not_before"),
        last_error_kind=ErrorKind(kind) if kind else None,
        last_error=values["last_error"],
        pages=values["pages"],
        records=values["records"],
        objects=values["objects"],
        etag=row.etag,
    )

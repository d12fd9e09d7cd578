"""An in-memory Table that is as strict as Table Storage."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

from shared.adapters.tables import MAX_OPERATIONS, Delete, Insert, Operation, Replace, Row, check_limits
from shared.errors import AlreadyExists, Conflict, StorageUnavailable, TooLarge

FORBIDDEN = set("/\\#?") | {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}


class MemoryTable:
    """Rows with ETags. `away` makes every call fail as an outage does, `lose_next_answer` lets the next write happen
    and its answer get lost. `meanwhile` happens once, behind the next `get`.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.away = False
        self.lose_next_answer = False
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._writes_left: int | None = None
        self._last_is_answered = True
        self._versions = itertools.count(1)

    def cut_off(self, writes: int, *, answered: bool) -> None:
        """Storage goes away behind so many more writes; one more happens if it is not `answered`."""
        self._writes_left, self._last_is_answered = writes, answered

    def mend(self) -> None:
        self.away, self.lose_next_answer, self._writes_left = False, False, None

    async def get(self, partition: str, key: str) -> Row | None:
        self._check_outage()
        found = self.rows.get((partition, key))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found

    async def insert(self, row: Row) -> str:
        return self._one(Insert(row))

    async def replace(self, row: Row) -> str:
        return self._one(Replace(row))

    async def put(self, row: Row) -> str:
        self._begin_write()
        check_limits([row])
        return self._answered(self._store(row))

    async def delete(self, row: Row) -> None:
        self._begin_write()
        found = self.rows.get((row.partition, row.key))
        if found is not None and row.etag is not None and found.etag != row.etag:
            raise Conflict("changed")
        self.rows.pop((row.partition, row.key), None)
        self._answered("")

    async def transact(self, operations: Sequence[Operation]) -> list[str | None]:
        self._begin_write()
        if len(operations) > MAX_OPERATIONS:
            raise TooLarge("too many operations")
        if len({operation.row.partition for operation in operations}) != 1:
            raise AssertionError("a transaction is for one partition")
        if len({operation.row.key for operation in operations}) != len(operations):
            raise AssertionError("a row may stand once in a transaction")
        check_limits(operation.row for operation in operations if not isinstance(operation, Delete))
        for operation in operations:
            self._check(operation)
        etags: list[str | None] = [self._apply(operation) for operation in operations]
        self._answered("")
        return etags

    async def range(
        self, partition: str, first: str, last: str, limit: int, select: Sequence[str] | None = None
    ) -> list[Row]:
        self._check_outage()
        found = sorted(row.key for row in self.rows.values() if row.partition == partition and first <= row.key < last)
        rows = [self.rows[partition, key] for key in found[:limit]]
        if select is None:
            return rows
        return [
            replace(row, values={name: value for name, value in row.values.items() if name in select}) for row in rows
        ]

    async def scan(
        self, *, key: str | None = None, partition: str | None = None, after: str | None = None
    ) -> AsyncIterator[Row]:
        self._check_outage()
        for name in sorted(self.rows):
            row = self.rows.get(name)
            if row is None or (key is not None and row.key != key):
                continue
            if (partition is not None and row.partition != partition) or (after is not None and row.partition <= after):
                continue
            yield row

    def _one(self, operation: Insert | Replace) -> str:
        self._begin_write()
        check_limits([operation.row])
        self._check(operation)
        return self._answered(self._apply(operation) or "")

    def _check(self, operation: Operation) -> None:
        row = operation.row
        found = self.rows.get((row.partition, row.key))
        match operation:
            case Insert():
                if FORBIDDEN & set(row.partition + row.key):
                    raise AssertionError(f"a key that Table Storage refuses: {row.partition!r} {row.key!r}")
                if found is not None:
                    raise AlreadyExists("there already")
            case Replace():
                if found is None or row.etag is None or found.etag != row.etag:
                    raise Conflict("changed")
            case Delete():
                if found is None:
                    raise Conflict("gone")

    def _apply(self, operation: Operation) -> str | None:
        if isinstance(operation, Delete):
            del self.rows[operation.row.partition, operation.row.key]
            return None
        return self._store(operation.row)

    def _store(self, row: Row) -> str:
        etag = f'W/"{next(self._versions)}"'
        self.rows[row.partition, row.key] = replace(row, etag=etag)
        return etag

    def _begin_write(self) -> None:
        self._check_outage()
        if self._writes_left is None:
            return
        self._writes_left -= 1
        if self._writes_left < 0:
            self.away, self.lose_next_answer = True, not self._last_is_answered
            if self._last_is_answered:
                self._check_outage()

    def _check_outage(self) -> None:
        if self.away:
            raise StorageUnavailable("table storage: away")

    def _answered(self, answer: str) -> str:
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise StorageUnavailable("table storage: the answer was lost")
        return answer

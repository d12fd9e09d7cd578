"""Tables: rows, conditions and transactions, as every store of ours sees them.

The limits of Table Storage are enforced here because Azurite lets larger rows pass:
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.errors import TooLarge

MAX_PROPERTY = 64 * 1024
MAX_ROW = 1024 * 1024
MAX_PROPERTIES = 252
MAX_OPERATIONS = 100
MAX_TRANSACTION = 3 * 1024 * 1024
"""Bytes of payload; binary travels as base64, so this stays under the 4 MiB of the wire."""

Value = str | int | float | bool | bytes | datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One entity. `etag` is that of the version read, or None for a row not written yet."""

    partition: str
    key: str
    values: dict[str, Value] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """Fails the transaction with AlreadyExists where the row exists."""

    row: Row


@dataclass(frozen=True, slots=True)
class Replace:
    """Fails the transaction with Conflict unless the row still has `row.etag`."""

    row: Row


@dataclass(frozen=True, slots=True)
class Delete:
    """Fails the transaction with Conflict where the row is gone."""

    row: Row


Operation = Insert | Replace | Delete


class Table(Protocol):
    """One table. Writes answer with the row's new ETag. All raise StorageUnavailable when the outcome is unknown."""

    async def get(self, partition: str, key: str) -> Row | None: ...

    async def insert(self, row: Row) -> str:
        """Raises AlreadyExists."""
        ...

    async def replace(self, row: Row) -> str:
        """Raises Conflict unless the row still has `row.etag`."""
        ...

    async def put(self, row: Row) -> str:
        """Insert or overwrite, whatever is there: for rows that carry no decision."""
        ...

    async def delete(self, row: Row) -> None:
        """A row that is gone already is fine. Raises Conflict if `row.etag` is given and does not match."""
        ...

    async def transact(self, operations: Sequence[Operation]) -> list[str | None]:
        """All or nothing, in one partition. Raises Conflict, AlreadyExists or TooLarge."""
        ...

    async def range(
        self, partition: str, first: str, last: str, limit: int, select: Sequence[str] | None = None
    ) -> list[Row]:
        """Rows with `first` ≤ key < `last`, in key order, at most `limit`; `select` names the values wanted."""
        ...

    def scan(
        self, *, key: str | None = None, partition: str | None = None, after: str | None = None
    ) -> AsyncIterator[Row]:
        """Rows in the order of their keys: all, or those with this row key, of this partition, of partitions
        behind `after`."""
        ...


def check_limits(rows: Iterable[Row]) -> None:
    """Raises TooLarge for what Table Storage would refuse."""
    total = 0
    for row in rows:
        sizes = [_size(name, value) for name, value in row.values.items()]
        if len(sizes) > MAX_PROPERTIES or sum(sizes) > MAX_ROW or any(size > MAX_PROPERTY + 512 for size in sizes):
            raise TooLarge(f"a row of {len(sizes)} properties and {sum(sizes)} bytes is over a limit of Table Storage")
        total += sum(sizes)
    if total > MAX_TRANSACTION:
        raise TooLarge(f"a transaction of {total} bytes is over the {MAX_TRANSACTION} of Table Storage")


def _size(name: str, value: Value) -> int:
    if isinstance(value, str):
        payload = 2 * len(value) if value.isascii() else len(value.encode("utf-16-le", "surrogatepass"))
    else:
        payload = len(value) if isinstance(value, bytes) else 8
    return payload + 2 * len(name) + 8

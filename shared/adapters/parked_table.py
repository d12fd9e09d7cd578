"""What was parked: runs that need somebody, and dead letters with the bytes of their message.

A row is written before the thing is marked as parked, so the table errs only by naming too much.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.adapters import keys
from shared.adapters.tables import Row, Table
from shared.errors import Conflict

LONGEST_BODY = 60_000
"""Bytes of a message that are kept; one property holds 64 KiB. Our own wake-ups have about 200."""


@dataclass(frozen=True, slots=True)
class Parked:
    """`id` names it for `headframe dead-letters`; `queue` is where `body` would be replayed to."""

    id: str
    queue: str
    body: bytes
    reason: str
    error: str
    parked_at: datetime
    pipeline: str = ""
    stream: str = ""
    user: str = ""
    run: str = ""


def parked_id(run: str, slice_: str) -> str:
    """The id of what a run, or a strand of it, leaves when it is parked."""
    return f"{run}/{slice_}"


class ParkedTable:
    def __init__(self, table: Table):
        self._table = table

    async def put(self, parked: Parked) -> None:
        await self._table.put(_to_row(parked))

    async def get(self, id_: str) -> Parked | None:
        row = await self._table.get("parked", keys.encode(id_))
        return _to_parked(row) if row else None

    async def remove(self, id_: str) -> None:
        """Whatever is shown under this id."""
        await self._table.delete(Row("parked", keys.encode(id_)))

    async def version(self, id_: str) -> str | None:
        """What is shown now, to be removed later; None: nothing."""
        row = await self._table.get("parked", keys.encode(id_))
        return row.etag if row else None

    async def remove_version(self, id_: str, version: str | None) -> None:
        """What was shown then. Somebody may have parked it again meanwhile, and that stays."""
        if version is not None:
            with contextlib.suppress(Conflict):
                await self._table.delete(Row("parked", keys.encode(id_), etag=version))

    async def all(self) -> AsyncIterator[Parked]:
        async for row in self._table.scan(partition="parked"):
            yield _to_parked(row)


def _to_row(parked: Parked) -> Row:
    return Row(
        "parked",
        keys.encode(parked.id),
        {
            "id": parked.id,
            "queue": parked.queue,
            "body": parked.body[:LONGEST_BODY],
            "reason": parked.reason,
            "error": parked.error,
            "parked_at": parked.parked_at,
            "pipeline": parked.pipeline,
            "stream": parked.stream,
            "user": parked.user,
            "run": parked.run,
        },
    )


def _to_parked(row: Row) -> Parked:
    values: dict[str, Any] = row.values
    return Parked(**values)

"""Known mistakes with merging objects, as replacements of production code (see mutants.py)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import processors.compaction
from processors.compaction import Folder
from shared.adapters.objects import Found, ObjectStore

Replacement = tuple[Any, str, Any]

_MERGE = processors.compaction._merge


class _Reordered:
    """A place that keeps what is written until it has been `told` to write it."""

    def __init__(self, place: ObjectStore):
        self._place = place
        self.kept: list[tuple[str, bytes]] = []

    async def read(self, name: str) -> bytes | None:
        return await self._place.read(name)

    async def write_once(self, name: str, data: bytes) -> None:
        self.kept.append((name, data))


async def _logged_first(folder: Folder, number: int, batch: Sequence[Found], place: ObjectStore, now: datetime) -> bool:
    drafts: Any = _Reordered(place)
    if not await _MERGE(folder, number, batch, drafts, now):
        return False
    for name, data in reversed(drafts.kept):
        await place.write_once(name, data)
    return True


async def _deleted_first(
    folder: Folder, number: int, batch: Sequence[Found], place: ObjectStore, now: datetime
) -> bool:
    drafts: Any = _Reordered(place)
    if not await _MERGE(folder, number, batch, drafts, now):
        return False
    for each in batch:
        await place.delete(each.name)
    for name, data in drafts.kept:
        await place.write_once(name, data)
    return True


async def _under_any_number(
    folder: Folder, number: int, batch: Sequence[Found], place: ObjectStore, now: datetime
) -> bool:
    """Whoever was first with the number, the next one is taken."""
    drafts: Any = _Reordered(place)
    await _MERGE(folder, number, batch, drafts, now)
    (name, data), (log, entry) = drafts.kept
    while await place.read(log) is not None:
        number += 1
        log = f"{folder.path}_merged/{number:08d}.json"
    other = name.replace("merged-", f"merged-{number:08d}-")
    await place.write_once(other, data)
    await place.write_once(log, entry.replace(name.rpartition("/")[2].encode(), other.rpartition("/")[2].encode()))
    return True


AMONG = ("merged", "merged, run after run", "merged, many users")

MERGING_MISTAKES: tuple[tuple[str, tuple[Replacement, ...], tuple[str, ...]], ...] = (
    ("merge logged before it is written", ((processors.compaction, "_merge", _logged_first),), AMONG),
    ("merged objects deleted before the log says so", ((processors.compaction, "_merge", _deleted_first),), AMONG),
    ("two merges of the same objects logged", ((processors.compaction, "_merge", _under_any_number),), AMONG),
)
"""Name, replacements, and the workloads that can show it."""

"""Known mistakes with folding the dedupe index, as replacements of production code (see mutants.py)."""

import dataclasses
from typing import Any

import miners.reconciler
import processors.folding
from processors.folding import fold_index
from processors.known_keys import KnownKeys
from processors.records import ENTRY_BYTES, KEY_BYTES
from shared.checkpoint import Checkpoint
from shared.services import Services

Replacement = tuple[Any, str, Any]

_FOLDED = processors.folding._folded


async def _all_but_the_last_row(checkpoint: Checkpoint, since: int, until: int, services: Services) -> list[bytes]:
    return await _FOLDED(checkpoint, since, max(since, until - 1), services)


class _FirstContent(KnownKeys):
    """What a key was seen with first is kept."""

    def learn(self, rows: bytes) -> None:
        for start in range(0, len(rows), ENTRY_BYTES):
            if self.get(rows[start : start + KEY_BYTES]) is None:
                super().learn(rows[start : start + ENTRY_BYTES])


async def _forgotten_first(checkpoint: Checkpoint, services: Services) -> None:
    """The old rows go as soon as they have been read."""
    checkpoints, real = services.checkpoints, services.checkpoints.write_index

    async def write_index(after: Checkpoint, rows: Any) -> None:
        await checkpoints.forget_index(checkpoint.key, checkpoint.index)
        await real(after, rows)

    vars(checkpoints)["write_index"] = write_index
    try:
        await fold_index(checkpoint, services)
    finally:
        vars(checkpoints).pop("write_index", None)


async def _without_fence(checkpoint: Checkpoint, services: Services) -> None:
    """Whatever has been written since, the folded index is written over it."""
    checkpoints, real = services.checkpoints, services.checkpoints.replace

    async def replace(after: Checkpoint) -> Checkpoint:
        latest = await checkpoints.read(after.key)
        return await real(dataclasses.replace(after, etag=latest.etag if latest else None))

    vars(checkpoints)["replace"] = replace
    try:
        await fold_index(checkpoint, services)
    finally:
        vars(checkpoints).pop("replace", None)


FOLDING_MISTAKES: tuple[tuple[str, tuple[Replacement, ...], tuple[str, ...]], ...] = (
    (
        "last row of the index not folded",
        ((processors.folding, "_folded", _all_but_the_last_row),),
        ("folded, moving", "folded"),
    ),
    ("index folded to first contents", ((processors.folding, "KnownKeys", _FirstContent),), ("folded",)),
    (
        "index removed before the folded one is named",
        ((miners.reconciler, "fold_index", _forgotten_first),),
        ("folded", "folded, moving"),
    ),
    (
        "folded index written over a run",
        ((miners.reconciler, "fold_index", _without_fence),),
        ("folded", "folded, newest first, cancelled"),
    ),
)
"""Name, replacements, and the workloads that can show it."""

"""Known mistakes with watermarks and slices, as replacements of production code (see mutants.py)."""

import dataclasses
from typing import Any

import miners.miner
import shared.strands
from shared.adapters.checkpoint_table import CheckpointTable
from shared.checkpoint import Checkpoint

Replacement = tuple[Any, str, Any]

_COMMIT = CheckpointTable.commit
_COMMITTED = Checkpoint.committed
_BEGIN_AGAIN = Checkpoint.begin_again


def _watermark_per_page(self: Checkpoint, *args: Any, **kwargs: Any) -> Checkpoint:
    after = _COMMITTED(self, *args, **kwargs)
    return dataclasses.replace(after, watermark=after.highest)


def _done_at_once(ledger: Checkpoint, now: Any) -> Checkpoint:
    return dataclasses.replace(ledger, open_strands=ledger.open_strands - 1).ended(now)


async def _strand_alone(
    self: CheckpointTable,
    strand: Checkpoint,
    ledger: Checkpoint,
    page: Any,
    seen: bytes,
    passed: Any = (),
) -> tuple[Checkpoint, Checkpoint]:
    """The strand commits; its ledger is written afterwards, whatever it says by then."""
    written = await _COMMIT(self, dataclasses.replace(strand, index=ledger.run + strand.slice), page, seen, passed)
    latest = await self.read(ledger.key)
    return written, await self.replace(dataclasses.replace(ledger, etag=latest.etag if latest else None))


def _always_caught_up(self: Checkpoint, *args: Any, **more: Any) -> Checkpoint:
    return dataclasses.replace(_BEGIN_AGAIN(self, *args, **more), caught_up=True)


SLICE_MISTAKES: tuple[tuple[str, tuple[Replacement, ...], tuple[str, ...]], ...] = (
    (
        "watermark moved per page",
        ((Checkpoint, "committed", _watermark_per_page),),
        ("incremental, newest first, cancelled",),
    ),
    (
        "run done with its first strand",
        ((shared.strands, "_one_less", _done_at_once),),
        ("offsets side by side", "windows side by side"),
    ),
    (
        "ledger not in the transaction of its strands",
        ((CheckpointTable, "commit_strand", _strand_alone),),
        ("offsets side by side", "offsets side by side, moving"),
    ),
    (
        "older content kept behind a newer one",
        ((miners.miner, "contradicts", lambda *_: False),),
        ("offsets side by side, moving",),
    ),
    (
        "stopped at what is seen behind a cancelled run",
        ((Checkpoint, "begin_again", _always_caught_up),),
        ("newest first, cancelled",),
    ),
)
"""Name, replacements, and the workloads that can show it."""

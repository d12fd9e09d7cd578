"""Known mistakes with chains, as replacements of production code (see mutants.py)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import miners.committing
import miners.scheduler
import shared.chains
import shared.runs
from shared.adapters.checkpoint_table import CheckpointTable
from shared.checkpoint import Checkpoint, RunState
from shared.pipeline.chains import Passed
from shared.services import Services

Replacement = tuple[Any, str, Any]

_COMMIT = CheckpointTable.commit
_BEGIN_AGAIN = Checkpoint.begin_again
_BEGIN_CHILDREN = shared.chains.begin_children


async def _nobody(*_: object) -> list[Checkpoint]:
    return []


async def _behind_a_strand(run: Checkpoint, services: Services) -> list[Checkpoint]:
    """With what one strand knows of the run."""
    return await _BEGIN_CHILDREN(dataclasses.replace(run, state=RunState.DONE), services)


async def _passed_afterwards(
    self: CheckpointTable,
    checkpoint: Checkpoint,
    page: Any,
    seen: bytes,
    passed: Sequence[Passed] = (),
) -> Checkpoint:
    written = await _COMMIT(self, checkpoint, page, seen)
    return await _COMMIT(self, written, (), b"", passed) if passed else written


def _followed_anyhow(self: Checkpoint, *args: Any, **_: Any) -> Checkpoint:
    return _BEGIN_AGAIN(self, *args, followed=True)


CHAIN_MISTAKES: tuple[tuple[str, tuple[Replacement, ...], tuple[str, ...]], ...] = (
    (
        "child begun before its parent has ended",
        ((miners.committing, "begin_children", _behind_a_strand),),
        ("chained",),
    ),
    (
        "next run of a chain begun while it goes on",
        ((miners.scheduler, "following", _nobody),),
        ("chained, run after run", "chained, incremental and cancelled"),
    ),
    (
        "runs that follow not begun by the message that comes again",
        ((shared.runs, "begin_children", _nobody),),
        ("chained, no reconciler",),
    ),
    (
        "passed along outside the transaction",
        ((CheckpointTable, "commit", _passed_afterwards),),
        ("chained", "chained, several deep"),
    ),
    (
        "watermark kept though the chain was cancelled",
        ((Checkpoint, "begin_again", _followed_anyhow),),
        ("chained, incremental and cancelled",),
    ),
)
"""Name, replacements, and the workloads that can show it."""

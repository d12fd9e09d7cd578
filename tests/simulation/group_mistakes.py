"""Known mistakes with the pages of one message, as replacements of production code (see mutants.py)."""

import dataclasses
from typing import Any

import miners.miner
import miners.settling
from miners.group import Group
from processors.records import SeenKeys, Sifted, sift
from shared.checkpoint import Checkpoint

Replacement = tuple[Any, str, Any]

_AFTER: Any = Group.after


def _group_forgotten(self: Group) -> Checkpoint:
    after: Checkpoint = _AFTER.fget(self)
    return dataclasses.replace(after, group=after.next_seq - 1)


def _groups_own_keys_forgotten(records: Any, stream: Any, seen: SeenKeys, _: SeenKeys | None = None) -> Sifted:
    return sift(records, stream, seen)


async def _failed_at_once(group: Group, *_: object) -> Any:
    """The pages before the failure are not committed, the checkpoint behind them is."""
    return group.work


GROUP_MISTAKES: tuple[tuple[str, tuple[Replacement, ...], tuple[str, ...]], ...] = (
    (
        "message of several pages stale when it comes again",
        ((Group, "after", property(_group_forgotten)),),
        ("several pages a message, no reconciler",),
    ),
    (
        "keys of a message's own pages not known",
        ((miners.settling, "sift", _groups_own_keys_forgotten),),
        ("several pages a message, moving",),
    ),
    (
        "pages before a failure not committed",
        ((miners.miner, "_so_far", _failed_at_once),),
        ("several pages a message, trouble",),
    ),
)
"""Name, replacements, and the workloads that can show it."""

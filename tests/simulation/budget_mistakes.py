"""Known mistakes with limits and blocks, as replacements of production code (see mutants.py)."""

from datetime import datetime, timedelta
from typing import Any

import miners.miner
import shared.pipeline.budgets
import shared.pipeline.slots
from miners.work import Work
from shared.adapters.budget_table import BudgetName, BudgetTable
from shared.adapters.tables import Row
from shared.checkpoint import Checkpoint
from shared.pipeline.breakers import Breaker
from shared.pipeline.budgets import SHARES, Slot
from shared.pipeline.slots import MOST_MISSES, HeldSlots
from shared.services import Services
from tests.simulation.climates import SOURCE_FAILS

Replacement = tuple[Any, str, Any]


async def _written_over(self: BudgetTable, name: BudgetName, changes: list[Any]) -> list[Any]:
    """By what this instance remembers, whatever others have booked."""
    known = self._known.get(name) or await self._read(name)
    budget, answers = known.budget, []
    for change in changes:
        budget, answer = change(budget)
        answers.append(answer)
    etag = await self._table.put(Row(name.partition, "budget", {"budget": budget.encode()}))
    self._keep(name, budget, etag)
    return answers


async def _not_claimed(work: Work, services: Services) -> Work:
    return work


async def _kept_to_oneself(self: BudgetTable, name: BudgetName, until: datetime) -> None:
    return None


def _however_late(slots: tuple[Slot, ...], now: float) -> tuple[Slot, ...]:
    return slots


def _always_half_open_tomorrow(self: Breaker, now: float, prober: str) -> float | None:
    return now + 60 if self.openings else None


async def _by_ones_own_clock(
    checkpoint: Checkpoint, ledger: Checkpoint | None, ahead: timedelta, services: Services
) -> Work | str:
    return await _PREPARED(checkpoint, ledger, timedelta(0), services)


def _in_time_though_too_early(self: HeldSlots, now: float) -> None:
    """Come too early and too late by turns, a page was never the earlier for it."""
    late = any(slots and slots[0].end <= now for slots in self.lanes.values())
    self.misses = min(MOST_MISSES, self.misses + 1) if late else max(0, self.misses - 1)


_PREPARED = miners.miner._prepared
LIMITED = ("limits", "limits, several pages a message", "limits of all and each")

BUDGET_MISTAKES: tuple[tuple[Any, ...], ...] = (
    ("budget written over blindly", ((BudgetTable, "_written", _written_over),), LIMITED),
    ("booked slots not claimed", ((miners.miner, "claimed", _not_claimed),), LIMITED),
    (
        "slots used however late",
        ((shared.pipeline.slots, "live", _however_late), (shared.pipeline.budgets, "live", _however_late)),
        LIMITED,
    ),
    (
        "slots met by one's own clock",
        ((miners.miner, "_prepared", _by_ones_own_clock), (HeldSlots, "claimed", _in_time_though_too_early)),
        ("limits, clocks apart",),
    ),
    ("windows taken for aligned", ((shared.pipeline.budgets, "COUNTED", SHARES),), LIMITED),
    ("a block kept to oneself", ((BudgetTable, "block", _kept_to_oneself),), ("blocks", "blocks and limits")),
    (
        "an open breaker never tried again",
        ((Breaker, "opens_at", _always_half_open_tomorrow),),
        ("plain", "many users"),
        SOURCE_FAILS,
    ),
)
"""Name, replacements, the workloads that can show it, and the climate where it takes one."""

"""Known mistakes with limits and blocks, as replacements of production code (see mutants.py)."""

from datetime import datetime
from typing import Any

import miners.miner
import shared.pipeline.budgets
import shared.pipeline.slots
from miners.work import Work
from shared.adapters.budget_table import BudgetName, BudgetTable
from shared.adapters.tables import Row
from shared.pipeline.breakers import Breaker
from shared.pipeline.budgets import SHARES, Slot
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


LIMITED = ("limits", "limits, several pages a message", "limits of all and each")

BUDGET_MISTAKES: tuple[tuple[Any, ...], ...] = (
    ("budget written over blindly", ((BudgetTable, "_written", _written_over),), LIMITED),
    ("booked slots not claimed", ((miners.miner, "claimed", _not_claimed),), LIMITED),
    (
        "slots used however late",
        ((shared.pipeline.slots, "live", _however_late), (shared.pipeline.budgets, "live", _however_late)),
        LIMITED,
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

"""Known mistakes with turns, hours and runs that are resumed, as replacements of production code (see mutants.py)."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import miners.miner
import miners.reconciler
import miners.scheduler
from miners.reconciler import Patience
from shared.checkpoint import Checkpoint
from shared.services import Services
from tests.simulation.weather import Climate

_OVERDUE = miners.reconciler._overdue


def _now(*_: Any) -> None:
    return None


async def _as_it_is(checkpoint: Checkpoint, services: Services) -> Checkpoint:
    return checkpoint


def _overdue_by_its_beginning(checkpoint: Checkpoint, services: Services, patience: Patience) -> bool:
    return _OVERDUE(replace(checkpoint, not_before=None), services, patience)


async def _sent_as_if_at_once(checkpoint: Checkpoint, until: datetime, services: Services, *_: Any) -> Checkpoint:
    """Woken anew, and the moment that was waited for forgotten."""
    now = services.now()
    written = await services.checkpoints.replace(replace(checkpoint.postponed(now, now), not_before=None))
    await services.broker.send([services.outgoing(written.wake_up(), written.priority)])
    return written


TURN_MISTAKES: tuple[tuple[Any, ...], ...] = (
    ("nobody waits for their turn", ((miners.scheduler, "turn_of", _now),), ("in turn", "in turn, run after run")),
    (
        "turns that have not come taken for lost",
        (
            (miners.reconciler, "_overdue", _overdue_by_its_beginning),
            (miners.reconciler, "postpone", _sent_as_if_at_once),
        ),
        ("in turn", "in turn, run after run"),
    ),
    (
        "row of a run that is being resumed taken away",
        ((miners.reconciler, "_touched", _as_it_is),),
        ("credentials rotate, messages lost",),
        Climate(until=0),
    ),
    ("hours kept to at the beginning only", ((miners.miner, "closed_until", _now),), ("off peak", "off peak in turn")),
)
"""Name, replacements, the workloads that can show it, and perhaps the weather."""

"""More messages than can be handled within the reconciler's patience: whoever waits keeps their place."""

import pytest

from miners.reconciler import Patience
from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation
from tests.simulation.weather import Climate
from tests.simulation.workload import Workload

CROWD = Workload("crowd", users=250, records=6, processes=1, settings=(("RECONCILE_AFTER_SECONDS", "20"),))
"""A message waits for more than a minute."""


def superseded() -> int:
    """Messages that came after another had been sent in their place."""
    simulation = Simulation(1, CROWD, Climate(until=0), invariants=INVARIANTS)
    simulation.run()
    return simulation.outcomes["mine", "resent"] + simulation.outcomes["mine", "ignored"]


def test_who_waits_in_a_long_queue_is_not_sent_to_its_end():
    assert superseded() == 0


def test_without_knowing_how_long_queues_are_they_would_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Patience, "in_queue", lambda patience, queue: patience.usual)
    assert superseded() > 0

"""The simulation can fail: every known mistake, switched on by itself, is caught."""

import pytest

from tests.simulation.invariants import INVARIANTS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.simulation import Simulation, Violation
from tests.simulation.workloads import CLIMATES, named

MOST_SEEDS = 1000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_known_mistake_is_caught(mutant: Mutant):
    """Within so many seeds, on the workloads that can show it."""
    with mutant.active():
        assert any(breaks(mutant, seed) for seed in range(MOST_SEEDS)), f"{mutant.name} survived {MOST_SEEDS} seeds"


def breaks(mutant: Mutant, seed: int) -> bool:
    workload = named(mutant.workloads[seed % len(mutant.workloads)])
    try:
        Simulation(seed, workload, CLIMATES[seed % len(CLIMATES)], invariants=INVARIANTS).run()
    except Violation:
        return True
    return False

"""Every point of every handler, struck once by every fault: nothing is left to chance."""

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.broker import LOCK_SECONDS, WINDOW_SECONDS
from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation, Violation
from tests.simulation.weather import Climate, Strike
from tests.simulation.workload import Workload
from tests.simulation.workloads import named

CALM = Climate(until=0)
PASSINGS = (1, 2)
"""Each point is struck when it is passed for the first time and for the second."""

EVERYWHERE = (
    ("kill", 0.0),
    ("kill_all", 0.0),
    ("stall", LOCK_SECONDS * 1.5),
    ("stall", WINDOW_SECONDS - 0.1),
    ("stall", WINDOW_SECONDS + LOCK_SECONDS + 0.1),
)
BEFORE = (*EVERYWHERE, ("refuse", 0.0), ("late", 1.0), ("late", WINDOW_SECONDS + 10))
AFTER = (*EVERYWHERE, ("lose_answer", 0.0))
"""Faults and their seconds: locks are lost, and duplicates come just in and just out of the broker's window."""

CHOSEN = (
    "eager delivery",
    "two runs",
    "large pages",
    "trouble at the source",
    "no reconciler",
    "no reconciler, messages expire",
    "a refused credential",
    "credentials rotate",
    "runs are cancelled",
    "next link in the body",
    "tokens rotate",
    "incremental",
    "windows left out",
    "offsets side by side",
    "chained, several deep",
    "several pages a message",
    "limits of all and each",
    "in turn",
    "off peak",
    "two outputs, one patient",
    "folded",
    "merged, one user",
)

Case = tuple[str, Strike]


def calm(workload: Workload, *strikes: Strike) -> Simulation:
    return Simulation(1, workload, CALM, strikes, invariants=INVARIANTS)


def cases_of(workload: str) -> list[Case]:
    """Every point that an undisturbed run passes, with every fault."""
    simulation = calm(named(workload))
    simulation.run()
    return [
        (workload, Strike(point, number, what, seconds))
        for point, passed in sorted(simulation.weather.points.items())
        for number in PASSINGS
        if number <= passed
        for what, seconds in (BEFORE if point.startswith("before") else AFTER)
    ]


def broken_by(case: Case) -> str:
    """Empty, or which promise the fault broke. In another process, so it is text."""
    workload, strike = case
    try:
        calm(named(workload), strike).run()
    except Violation as violation:
        return f"{workload}: {strike}: {violation}"
    return ""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("workload", CHOSEN)
def test_no_single_fault_at_any_point_breaks_a_promise(workload: str):
    with ProcessPoolExecutor() as pool:
        assert [line for line in pool.map(broken_by, cases_of(workload), chunksize=20) if line] == []

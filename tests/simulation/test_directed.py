"""Every point of every handler, struck once by every fault: nothing is left to chance."""

from concurrent.futures import ProcessPoolExecutor

import pytest

from shared.services import TABLES
from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation, Violation
from tests.simulation.weather import Climate, Strike
from tests.simulation.workloads import WORKLOADS, named

CALM = Climate(until=0)
PASSINGS = (1, 2)
"""Each point is struck when it is passed for the first and for the second time."""

CHOSEN = ("eager delivery", "two runs", "large pages", "trouble at the source", "no reconciler", "a refused credential")


def faults_at(point: str) -> tuple[str, ...]:
    return ("kill", "kill_all", "stall", "refuse" if point.startswith("before") else "lose_answer")


def points_of(workload: str) -> list[str]:
    """Every point that an undisturbed run passes."""
    simulation = Simulation(1, named(workload), CALM, invariants=INVARIANTS)
    simulation.run()
    return sorted(simulation.weather.points)


def struck(case: tuple[str, str, int, str]) -> str:
    """Empty, or which promise the fault broke. In another process, so it is text."""
    workload, point, number, what = case
    try:
        Simulation(1, named(workload), CALM, Strike(point, number, what), invariants=INVARIANTS).run()
    except Violation as violation:
        return f"{workload}: {what} {point} ({number}): {violation}"
    return ""


@pytest.mark.parametrize("workload", CHOSEN)
def test_no_single_fault_at_any_point_breaks_a_promise(workload: str):
    cases = [
        (workload, point, number, what)
        for point in points_of(workload)
        for number in PASSINGS
        for what in faults_at(point)
        if not (point.endswith("host.complete") and what == "refuse")
    ]
    with ProcessPoolExecutor() as pool:
        assert [line for line in pool.map(struck, cases, chunksize=20) if line] == []


def test_every_table_and_every_door_is_touched_by_some_workload():
    """A new table or door that no workload uses would be a hole in the proof."""
    touched = {point.split(" ")[1].split(".")[0] for workload in WORKLOADS for point in points_of(workload.name)}
    assert touched >= {*TABLES, "broker", "source", "output", "pages", "host"}

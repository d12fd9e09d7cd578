"""What simulations mine, in what weather. Later work joins with a line."""

from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation, Workload
from tests.simulation.weather import Climate

EAGER = (("DELIVERY_RECORDS", "2"),)
"""An object for nearly every page."""
PAIRS = (("DELIVERY_RECORDS", "3"),)
"""An object for every other page."""

WORKLOADS: tuple[Workload, ...] = (
    Workload("plain"),
    Workload("eager delivery", settings=EAGER, processes=3),
    Workload("two pages an object", records=9, settings=PAIRS, processes=3),
    Workload("no primary key", primary_key=False, settings=EAGER, processes=3),
    Workload("one page", users=4, records=2, size=2),
    Workload("no records", records=0),
    Workload("many users", users=8, records=3),
    Workload("moving records", users=1, records=7, moving=0.6),
    Workload("moving records, eager delivery", users=1, records=7, moving=0.6, settings=EAGER, processes=3),
    Workload("two runs", users=1, runs=2),
    Workload("two runs of moving records", users=1, runs=2, moving=0.5),
    Workload("emit all, moving", users=1, records=6, moving=0.5, emit="all"),
    Workload("trouble at the source", trouble=0.2),
    Workload("ragged pages", ragged=0.4, records=6),
    Workload("next link in the body", paginator="json_link"),
    Workload("next link in the header", paginator="header_link", ragged=0.2),
    Workload("next link leads away", paginator="json_link", away=0.2),
    Workload("a refused credential", users=3, refused=1),
    Workload("large pages", large_pages=True, settings=EAGER),
    Workload("duplicates from the broker", duplicate=0.2),
    Workload("messages lost", lost=0.1, users=1),
    Workload("clocks five minutes off", skew=300),
    Workload("no reconciler", reconciler=False, users=1, processes=3),
    Workload("no reconciler, trouble", reconciler=False, users=1, trouble=0.3),
    Workload("no reconciler, eager delivery", reconciler=False, users=1, settings=EAGER),
)

CLIMATES: tuple[Climate, ...] = (
    Climate(until=0),
    Climate(kill=0.02, until=600),
    Climate(stall=0.03, until=600),
    Climate(refuse=0.03, lose_answer=0.03, until=600),
    Climate(kill=0.01, stall=0.01, refuse=0.01, lose_answer=0.01),
    Climate(kill_all=0.005, stall=0.02),
    Climate(refuse=0.4, kill=0.005, since=2, until=300),
)


def chosen(seed: int) -> tuple[Workload, Climate]:
    """Every workload meets every climate in turn."""
    return WORKLOADS[seed % len(WORKLOADS)], CLIMATES[seed // len(WORKLOADS) % len(CLIMATES)]


def named(name: str) -> Workload:
    return next(workload for workload in WORKLOADS if workload.name == name)


def simulate(seed: int) -> Simulation:
    """Run the simulation of this seed. Raises Violation."""
    workload, climate = chosen(seed)
    simulation = Simulation(seed, workload, climate, invariants=INVARIANTS)
    simulation.run()
    return simulation

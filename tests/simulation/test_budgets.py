"""Limits under many workers: used nearly whole, and shared so that nobody waits for a huge neighbour."""

from collections import Counter
from statistics import fmean
from typing import Any

import pytest

from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation
from tests.simulation.weather import Climate
from tests.simulation.workload import Workload
from tests.simulation.workloads import SEVERAL

CALM = Climate(until=0)
LIMIT = "{ per: app, requests: 20, span: 10s }"
SIDE_BY_SIDE = "{ strategy: calculated_offsets, records_per_slice: 2, max_concurrent: 3 }"


def played(workload: Workload, seed: int = 1) -> Simulation:
    simulation = Simulation(seed, workload, CALM, invariants=INVARIANTS)
    simulation.run()
    return simulation


@pytest.mark.parametrize("settings", [(), SEVERAL], ids=["a page a message", "three pages a message"])
def test_when_work_is_waiting_nearly_all_of_a_limit_is_used(settings: tuple[tuple[str, str], ...]):
    """But for the end, when fewer are waiting than the limit allows."""
    work = Workload("busy", users=40, records=38, limits=LIMIT, processes=4, settings=settings)
    moments = [at for at, _ in played(work).api.asked]
    busy = moments[len(moments) // 10 : len(moments) * 8 // 10]
    assert len(busy) / (busy[-1] - busy[0]) >= 0.95 * 20 / 10


@pytest.mark.parametrize(
    "how",
    [{}, {"settings": SEVERAL}, {"kinds": ("offset",), "parallel": SIDE_BY_SIDE}],
    ids=["a page a message", "three pages a message", "slices side by side"],
)
def test_small_users_do_not_wait_for_a_huge_one(how: dict[str, Any]):
    """Of 100 under one limit, the 99 small ones end within 1.2 times what their fair share of it takes."""
    work = Workload("crowd", users=100, records=6, huge=600, limits=LIMIT, processes=4, **how)
    simulation = played(work)
    huge = work.names[0]
    fair = 3 * work.users / 2.0
    last = max(at for at, key in simulation.api.asked if key.user != huge)
    assert last - simulation.api.asked[0][0] <= 1.2 * fair


@pytest.mark.parametrize("settings", [(), SEVERAL], ids=["a page a message", "three pages a message"])
def test_a_user_of_weight_three_has_three_times_the_share_of_others(settings: tuple[tuple[str, str], ...]):
    """While all of them have pages left."""
    work = Workload("one is heavy", users=12, records=280, heavy=3, limits=LIMIT, processes=4, settings=settings)
    asked = played(work).api.asked
    last = max(at for at, key in asked if key.user == work.names[0])
    pages = Counter(key.user for at, key in asked if at <= last)
    heavy = pages.pop(work.names[0])
    assert heavy == pytest.approx(3 * fmean(pages.values()), rel=0.1)

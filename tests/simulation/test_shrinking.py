"""A broken promise is told as shortly as it can be, and what was once broken stays mended."""

import pytest

from tests.simulation.invariants import INVARIANTS
from tests.simulation.limited import TIGHT
from tests.simulation.mutants import mutant_named
from tests.simulation.shrinking import Shrinker, Story, replay_of, report
from tests.simulation.simulation import Violation
from tests.simulation.weather import Climate, Strike
from tests.simulation.workload import Workload
from tests.simulation.workloads import simulation_among

CALM = Climate(until=0)
EAGER = (("DELIVERY_RECORDS", "2"),)

ONCE_BROKEN = {
    "admission believed for ever": Story(
        425227,
        Workload("clocks jump", events=("clocks jump", "stop and go")),
        CALM,
        (
            Strike("after streams.get", 6, "lose_answer"),
            Strike("after streams.range", 1, "lose_answer"),
            Strike("after streams.get", 10, "kill"),
        ),
    ),
    "slots met by one's own clock": Story(
        16,
        Workload("limits, clocks apart", users=4, records=4, size=1, limits=TIGHT, skew=20),
        CALM,
        (),
    ),
    "run at its beginning left alone": Story(
        1,
        Workload("no reconciler", users=1, records=1, processes=1, reconciler=False),
        CALM,
        (Strike("after streams.insert", 1, "kill"),),
    ),
    "older run begun after a newer one": Story(
        2,
        Workload("runs close together", users=1, records=1, runs=2, processes=1),
        CALM,
        (Strike("after schedules.replace", 1, "stall", 131.2),),
    ),
    "index row without a checkpoint forgotten": Story(
        170051,
        Workload("messages lost", users=1, records=1, processes=1, lost=0.1),
        CALM,
        (
            Strike("before openruns.put", 1, "stall", 35.86598744748922),
            Strike("after openruns.put", 1, "stall", 90.00455829114753),
            Strike("before schedules.get", 2, "stall", 94.2087379296348),
            Strike("before schedules.get", 3, "stall", 1936.7596614324902),
            Strike("after openruns.scan", 3, "stall", 90.07917405457555),
        ),
    ),
    "index row of open runs judged by its run": Story(
        1328,
        Workload("messages lost, run after run", users=1, records=3, runs=2, processes=1, lost=0.3),
        CALM,
        (Strike("after streams.get", 1, "stall", 120.40901604866703),),
    ),
    "ended run's dead letter dropped": Story(
        729,
        Workload("no reconciler, messages expire", users=1, processes=1, reconciler=False, settings=EAGER),
        CALM,
        tuple(Strike("before broker.send", number, "refuse") for number in (3, 4, 5, *range(7, 17))),
    ),
    "postponed delivery not sent again": Story(
        70,
        Workload("no reconciler, eager delivery", users=1, processes=1, reconciler=False),
        CALM,
        (
            Strike("before output.write_once", 1, "refuse"),
            Strike("before broker.send", 7, "kill"),
            Strike("before output.write_once", 2, "refuse"),
            Strike("before broker.send", 8, "refuse"),
            Strike("after output.write_once", 1, "kill"),
            Strike("before output.write_once", 4, "refuse"),
            Strike("before output.write_once", 5, "refuse"),
        ),
    ),
}
"""Defects that seeds once found, by the name of the mutant that brings them back, and the shortest way to each."""

BY_WHAT_IT_DOES = r"^(?!.*raised (Type|Attribute|Name)Error)"
"""Not because the mutant does not fit the code any more."""


@pytest.mark.parametrize("defect", ONCE_BROKEN)
def test_defects_that_seeds_once_found_stay_mended(defect: str):
    """The story ends well today; with the defect back in its place, it does not."""
    story = ONCE_BROKEN[defect]
    story.simulation(INVARIANTS).run()
    with mutant_named(defect).active(), pytest.raises(Violation, match=BY_WHAT_IT_DOES):
        story.simulation(INVARIANTS).run()


def test_a_failed_seed_is_told_as_shortly_as_it_can_be():
    """One kill is enough to show this mistake, in the smallest workload."""
    mutant = mutant_named("run at its beginning left alone")
    lines: list[str] = []
    with mutant.active():
        failed = simulation_among(mutant.among, 1)
        with pytest.raises(Violation) as broken:
            failed.run()
        report(failed, str(broken.value), INVARIANTS, lines.append)
        story = Shrinker(INVARIANTS).shrink(failed, str(broken.value))
    assert [strike.what for strike in story.strikes] == ["kill"]
    assert (story.workload.users, story.workload.records, story.workload.processes) == (1, 1, 1)
    assert sum("** kill" in line for line in lines) == 1
    assert any("broken: not all_ended" in line for line in lines)
    assert lines[-2:] == [f"keep it as a test: {replay_of(story)}", "see it again: make simulate SEED=1"]

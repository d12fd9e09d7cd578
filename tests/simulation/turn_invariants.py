"""What must hold of the hours and turns that a pipeline file asks for."""

from datetime import timedelta

from miners.miner import SOON
from miners.scheduler import tick_of
from shared.checkpoint import WHOLE
from shared.messages import StreamKey
from shared.pipeline.off_peak import is_open
from shared.pipeline.turns import offset_of
from tests.fakes.world import START
from tests.simulation.history import commits_of
from tests.simulation.simulation import Invariant, Simulation, Violation
from tests.simulation.workload import pipelines_of

SPARE = timedelta(seconds=5)
"""A worker looks at the clock, and then at tables, before it asks the source."""


async def nobody_comes_before_their_turn(simulation: Simulation) -> None:
    """No run commits its first page before the moment at which its user's turn comes."""
    for commit in commits_of(simulation.tables["streams"]):
        key, run = commit.before.key, commit.before.run
        if commit.before.next_seq == 0 and commit.before.slice == WHOLE:
            turn = tick_of(run) + offset_of(key, _stagger(simulation, key))
            if START + timedelta(seconds=commit.at) < turn - SOON - _error(simulation):
                raise Violation(
                    f"{key} came at {commit.at:.1f}, before its turn at {(turn - START).total_seconds():.1f}"
                )


async def nothing_is_fetched_outside_the_hours(simulation: Simulation) -> None:
    """But by a worker that stood still between its look at the clock and the call."""
    stalled = any(strike.what in {"stall", "late"} for strike in simulation.weather.struck)
    if stalled or "clocks jump" in simulation.workload.events:
        return
    slack = SPARE + _error(simulation)
    for fetch in simulation.api.fetches:
        pipeline = pipelines_of(simulation.workload)[fetch.key.pipeline]
        hours = pipeline.off_peak_of(pipeline.streams[0])
        at = START + timedelta(seconds=fetch.at)
        if hours is not None and not (is_open(hours, at - slack) or is_open(hours, at + slack)):
            raise Violation(f"{fetch.key} was fetched at {fetch.at:.1f}, outside its hours")


def _stagger(simulation: Simulation, key: StreamKey) -> timedelta:
    pipeline = pipelines_of(simulation.workload)[key.pipeline]
    stream = pipeline.stream(key.stream)
    return pipeline.stagger_of(stream) if stream else timedelta(0)


def _error(simulation: Simulation) -> timedelta:
    """How far clocks may be off."""
    jumps = 3600.0 if "clocks jump" in simulation.workload.events else 0.0
    return timedelta(seconds=simulation.workload.skew + jumps)


TURN_INVARIANTS: tuple[Invariant, ...] = (nobody_comes_before_their_turn, nothing_is_fetched_outside_the_hours)

"""What must hold of limits, blocks and breakers, whatever happens to those who keep them."""

from bisect import bisect_left

from shared.adapters.budget_table import FRESH
from shared.pipeline.budgets import Lane, lanes_of
from tests.simulation.simulation import Invariant, Simulation, Violation
from tests.simulation.source import BLOCKED
from tests.simulation.workload import pipelines_of

HELD_UP = ("before source.fetch", "after budgets.", "host.", "after streams.", "after users.", "after tokens.")
"""Where a worker that stands still has been permitted to ask, and asks much later."""

WRITTEN_DOWN = ("budgets.", "streams.", "broker.")
"""Doors between being told to wait and having written it down."""

SPARE = 1.0
"""Seconds between a worker's look at its memory and the call."""


async def no_window_sees_more_than_its_limit(simulation: Simulation) -> None:
    """Of any `span`, by the API's own clock."""
    if _is_out_of_time(simulation):
        return
    for name, pipeline in pipelines_of(simulation.workload).items():
        calls = [(at, key) for at, key in simulation.api.asked if key.pipeline == name]
        for stream in pipeline.streams:
            for lane in lanes_of(pipeline.source, stream.name, "app"):
                shared = {each.name for each in pipeline.streams if lane in lanes_of(pipeline.source, each.name, "app")}
                _check([at for at, key in calls if key.stream in shared], lane, name)
            for lane in lanes_of(pipeline.source, stream.name, "user"):
                for user in simulation.workload.names:
                    _check([at for at, key in calls if key.user == user], lane, f"{name} {user}")


async def who_is_blocked_is_left_alone(simulation: Simulation) -> None:
    """As soon as every instance has had time to see it, nobody asks who was told to wait."""
    if _is_out_of_time(simulation) or _lost_writes(simulation):
        return
    for told_at, app, user in simulation.api.blocks:
        until = told_at + BLOCKED
        for at, key in simulation.api.asked:
            if told_at + FRESH + SPARE < at < until and key.pipeline == app and user in (None, key.user):
                who = user or "everybody"
                raise Violation(f"{key} was asked for at {at:.1f}; {who} was told at {told_at:.1f} to wait")


def _check(calls: list[float], lane: Lane, who: str) -> None:
    if lane.span is None:
        return
    for number, at in enumerate(calls):
        within = bisect_left(calls, at + lane.span) - number
        if within > lane.most:
            raise Violation(f"{who}: {within} calls from second {at:.2f} on, with a limit of {lane.name}")


def _is_out_of_time(simulation: Simulation) -> bool:
    """Clocks that are wrong, or workers that stand still between permission and call: nobody can be on time so."""
    if simulation.workload.skew or "clocks jump" in simulation.workload.events:
        return True
    return any(
        strike.what in {"stall", "late"} and strike.point.startswith(HELD_UP) for strike in simulation.weather.struck
    )


def _lost_writes(simulation: Simulation) -> bool:
    """Whether somebody who was told to wait may have been cut off before that was written down."""
    return any(
        strike.what in {"kill", "kill_all"} or strike.point.split(" ")[1].startswith(WRITTEN_DOWN)
        for strike in simulation.weather.struck
    )


BUDGET_INVARIANTS: tuple[Invariant, ...] = (no_window_sees_more_than_its_limit, who_is_blocked_is_left_alone)

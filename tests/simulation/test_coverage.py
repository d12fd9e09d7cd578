"""Nothing of the app is left out: a function, table, kind of message or door that no workload touches is a hole."""

import json
import subprocess
import sys
import typing
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from shared.messages import Priority, WakeUp
from shared.pipeline.spec import OAuth2, Paginator
from shared.services import TABLES
from tests.simulation.events import EVENTS
from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation
from tests.simulation.weather import Climate
from tests.simulation.workload import AUTHS, PAGINATORS, pipelines_of
from tests.simulation.workloads import CROWDS, WORKLOADS

ROOT = Path(__file__).parents[2]
TRIGGERED_BY_PEOPLE = {"health"}
"""Functions that read and change nothing."""

LIST_FUNCTIONS = """
import json, function_app
print(json.dumps([function.get_function_name() for function in function_app.app.get_functions()]))
"""


@pytest.fixture(scope="module")
def played() -> list[Simulation]:
    """Every workload that has a name, in weather in which messages die."""
    climate = Climate(refuse=0.3, since=0.2, until=200, ports=("streams",))
    seeds_and_workloads = product(range(4), WORKLOADS)
    simulations = [Simulation(seed, each, climate, invariants=INVARIANTS) for seed, each in seeds_and_workloads]
    for simulation in simulations:
        simulation.run()
    return simulations


def functions() -> set[str]:
    """What the app registers; it can be asked once in a process."""
    asked = subprocess.run(
        [sys.executable, "-c", LIST_FUNCTIONS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(asked.stdout))


def kinds_of(annotation: object) -> Iterator[str]:
    """The values of `type` in a discriminated union of models."""
    for model in typing.get_args(typing.get_args(annotation)[0]):
        yield from typing.get_args(model.model_fields["type"].annotation)


def test_every_function_of_the_app_is_invoked_by_some_workload(played: list[Simulation]):
    invoked = {function for simulation in played for function, _ in simulation.outcomes}
    assert invoked == functions() - TRIGGERED_BY_PEOPLE


def test_every_table_and_every_door_is_touched_by_some_workload(played: list[Simulation]):
    touched = {point.split(" ")[1].split(".")[0] for simulation in played for point in simulation.weather.points}
    assert touched == {*TABLES, "broker", "source", "token_endpoint", "output", "pages", "host"}


def test_every_kind_of_message_and_every_priority_is_sent_by_some_workload(played: list[Simulation]):
    sent = [wait.outgoing for simulation in played for wait in simulation.broker.waits]
    kinds = {WakeUp.decode(outgoing.body).kind for outgoing in sent}
    assert kinds == set(typing.get_args(WakeUp.model_fields["kind"].annotation))
    assert {pipeline for workload in WORKLOADS for pipeline in workload.priorities} == set(Priority)


def test_every_kind_of_pagination_and_every_event_is_part_of_some_workload():
    assert set(PAGINATORS) == set(kinds_of(Paginator))
    assert {kind for workload in WORKLOADS for kind in workload.kinds} == set(PAGINATORS)
    assert {event for workload in WORKLOADS for event in workload.events} == set(EVENTS)


def test_every_kind_of_token_that_is_asked_for_is_part_of_some_workload():
    assert set(AUTHS) == {workload.auth for workload in WORKLOADS}
    sources = [pipeline.source for workload in WORKLOADS for pipeline in pipelines_of(workload).values()]
    assert set(OAuth2.__subclasses__()) <= {type(source.auth) for source in sources}


def test_there_are_few_users_and_many():
    assert {1, 50} <= {workload.users for workload in WORKLOADS + CROWDS}

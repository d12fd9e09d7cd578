"""What must hold when a simulation has come to rest."""

import base64
import json
from collections import Counter

from shared.adapters.tables import Row
from shared.checkpoint import RunState
from tests.simulation.simulation import Invariant, Simulation, Violation
from tests.simulation.source import token_of

Line = dict[str, object]


async def exactly_once(simulation: Simulation) -> None:
    """Every record's latest version is in the output, nothing is there twice, nothing under another user."""
    lines = output_lines(simulation)
    counts = Counter((line["_user"], line["id"], line["version"]) for line in lines)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise Violation(f"in the output twice: {twice[0]}")
    for key in simulation.keys:
        if simulation.parked(await simulation.checkpoint(key)):
            continue
        for identity, version in simulation.api.truth(key.user).items():
            if (key.user, identity, version) not in counts:
                raise Violation(f"missing: {key.user} {identity} version {version}")


async def refused_users_are_parked(simulation: Simulation) -> None:
    """With the reason, without output, and without hurting the others."""
    for key in simulation.keys[: simulation.workload.refused]:
        checkpoint = await simulation.checkpoint(key)
        if checkpoint.state is not RunState.PARKED or checkpoint.reason not in {"invalid_credential", "unknown"}:
            raise Violation(f"{key} with a refused credential is {checkpoint.state} {checkpoint.reason}")
        if any(line["_user"] == key.user for line in output_lines(simulation)):
            raise Violation(f"{key} with a refused credential has output")


async def all_runs_end(simulation: Simulation) -> None:
    """Done, or parked with a reason and a row that shows it."""
    for key in simulation.keys:
        checkpoint = await simulation.checkpoint(key)
        if checkpoint.state is RunState.PARKED:
            shown = [row for row in simulation.tables["parked"].rows.values() if row.values["run"] == checkpoint.run]
            if not (checkpoint.reason and shown):
                raise Violation(f"{key} is parked and nobody sees it")
        elif checkpoint.state is not RunState.DONE:
            raise Violation(f"{key} is {checkpoint.state}")


async def pages_are_gap_free(simulation: Simulation) -> None:
    """Every object's pages are consecutive, and no page is in two objects."""
    pages: Counter[tuple[object, object]] = Counter()
    for name, data in simulation.output.objects.items():
        first, last = (int(part) for part in name.removesuffix(".jsonl").rsplit("-", 2)[1:])
        run = json.loads(data.splitlines()[0])["_run"]
        found = {int(json.loads(line)["_page"]) for line in data.splitlines()}
        if min(found) < first or max(found) > last:
            raise Violation(f"{name} holds pages {sorted(found)}")
        pages.update((run, page) for page in found)
    if twice := [page for page, count in pages.items() if count > 1]:
        raise Violation(f"page in two objects: {twice[0]}")


async def nothing_is_left(simulation: Simulation) -> None:
    """No plan, no page, no page blob that a row names, no message."""
    for row in simulation.tables["streams"].rows.values():
        if row.key.startswith("page|") or "plan_name" in row.values:
            raise Violation(f"left behind: {row.key}")


async def calls_are_bounded(simulation: Simulation) -> None:
    """A page is fetched once, and once more for each fault, bad answer, duplicate or lost lock."""
    calls = sum(simulation.api.calls.values())
    pages = 0
    for key in simulation.keys:
        checkpoint = await simulation.checkpoint(key)
        pages += checkpoint.next_seq + checkpoint.retries
    extra = simulation.weather.faults + simulation.broker.ended["lock lost"] + simulation.broker.ended["dead-lettered"]
    most = pages * simulation.workload.runs + (extra + 2) * 8
    if calls > most:
        raise Violation(f"{calls} calls for {pages} pages and {extra} faults")


async def no_secret_leaves(simulation: Simulation) -> None:
    """Tokens stand nowhere but, encrypted, in the users table, and go to the source alone."""
    if simulation.api.leaks:
        raise Violation(f"the credential of {simulation.api.leaks[0]} went to another host")
    written = [json.dumps(row.values, default=repr).encode() for row in _rows(simulation)]
    written += [*simulation.broker.bodies, *simulation.output.objects.values(), *simulation.pages.objects.values()]
    everything = b"\n".join(written)
    for user in simulation.users:
        token = token_of(user).encode()
        if token in everything or base64.b64encode(token) in everything:
            raise Violation(f"the token of {user} leaked")


INVARIANTS: tuple[Invariant, ...] = (
    exactly_once,
    refused_users_are_parked,
    all_runs_end,
    pages_are_gap_free,
    nothing_is_left,
    calls_are_bounded,
    no_secret_leaves,
)


def output_lines(simulation: Simulation) -> list[Line]:
    return [json.loads(line) for data in simulation.output.objects.values() for line in data.splitlines()]


def _rows(simulation: Simulation) -> list[Row]:
    """Every version of every row there ever was."""
    return [row for table in simulation.tables.values() for row in table.written]

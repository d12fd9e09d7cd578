"""What people and the world do while a simulation runs: each is switched on by its name in a workload.

They use what a person's commands use, and wait for nothing but time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import Conflict
from shared.runs import cancel
from shared.users import UserState

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation


async def rotate_credentials(simulation: "Simulation") -> None:
    """Each user's credential is replaced at the API, and some seconds before or after with us."""
    rotating = [user for user in simulation.workload.names if user not in simulation.workload.refused_users]
    for user in rotating:
        await simulation.some_seconds(60)
        token = simulation.new_token(user)
        if simulation.chance() < 0.5:
            await simulation.outside.users.put(simulation.workload.user(user, token))
            await simulation.some_seconds(20)
            simulation.let_in(user, token)
        else:
            simulation.let_in(user, token)
            await simulation.some_seconds(20)
            await simulation.outside.users.put(simulation.workload.user(user, token))
    for user in rotating:  # whoever was refused in between has a credential to go on with
        await simulation.outside.users.put(simulation.workload.user(user, simulation.tokens[user][-1]))


async def revoke_a_credential(simulation: "Simulation") -> None:
    """The last user's credential dies and no other takes its place."""
    await simulation.some_seconds(20)
    simulation.revoke(simulation.workload.names[-1])


async def stop_and_go(simulation: "Simulation") -> None:
    """Admission goes to 0 at any moment, even in the middle of a page, and comes back by and by."""
    for _ in range(2):
        await simulation.some_seconds(30)
        await simulation.outside.admission.set(0)
        stopped_at = simulation.loop.time()
        await simulation.some_seconds(240)
        simulation.stops.append((stopped_at, simulation.loop.time()))
        await simulation.outside.admission.set(40)
        await simulation.some_seconds(60)
        await simulation.outside.admission.set(100)


async def step_the_clocks(simulation: "Simulation") -> None:
    """Clocks jump, forwards and backwards."""
    for _ in range(12):
        await simulation.some_seconds(30)
        for process in simulation.processes:
            process.skew = simulation.some_skew(300)


async def pause_a_user(simulation: "Simulation") -> None:
    """Somebody takes the first user out for a while."""
    user = simulation.workload.names[0]
    for state in (UserState.PAUSED, UserState.ACTIVE):
        await simulation.some_seconds(40)
        while True:
            found = await simulation.outside.users.get(user)
            if found is None:
                return
            try:
                await simulation.outside.users.change(replace(found, state=state))
                break
            except Conflict:
                await asyncio.sleep(1)


async def cancel_runs(simulation: "Simulation") -> None:
    """Somebody ends whatever is open, in the middle of it."""
    for _ in range(3):
        await simulation.some_seconds(20)
        for checkpoint in await simulation.outside.checkpoints.all():
            if checkpoint.is_open:
                try:
                    await cancel(checkpoint, "asked for", simulation.outside)
                except Conflict:
                    continue


EVENTS: dict[str, Callable[["Simulation"], Awaitable[None]]] = {
    "credentials rotate": rotate_credentials,
    "a credential dies": revoke_a_credential,
    "stop and go": stop_and_go,
    "clocks jump": step_the_clocks,
    "a user pauses": pause_a_user,
    "runs are cancelled": cancel_runs,
}

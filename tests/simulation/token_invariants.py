"""What must hold of access tokens when a simulation has come to rest."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.fakes.world import START
from tests.simulation.cipher import CIPHER
from tests.simulation.history import Change
from tests.simulation.simulation import Invariant, Simulation, Violation

FARTHEST_JUMP = 300.0
"""Seconds by which a clock is wrong at most, where clocks jump (see events.py)."""


async def no_token_is_used_before_it_is_stored(simulation: Simulation) -> None:
    """Whoever dies behind the exchange has lost nothing: what the API sees can be had again from the table."""
    stored: dict[str, float] = {}
    for change in simulation.tables["tokens"].changes:
        stored.setdefault(_opened(change)["access_token"], change.at)
    for at, user, token in simulation.api.uses:
        if stored.get(token, at + 1) >= at:
            raise Violation(f"a token of {user} was used at {at:.2f} and stored later, if at all")


async def one_worker_asks_for_tokens(simulation: Simulation) -> None:
    """Every exchange has a lease of its own, and no lease is taken from whom it belongs to before its end."""
    leases: Counter[str] = Counter()
    error = 2 * max(simulation.workload.skew, FARTHEST_JUMP if "clocks jump" in simulation.workload.events else 0.0)
    for user, at, before in _leases(simulation):
        leases[user] += 1
        if before.get("lease_owner"):
            until = (before["leased_until"] - START) / timedelta(seconds=1)
            if at < until - error:
                raise Violation(f"the lease of {user} until {until:.2f} was taken at {at:.2f}")
    for user, calls in Counter(simulation.token_endpoint.calls).items():
        if calls > leases[user]:
            raise Violation(f"{calls} exchanges for {user} under {leases[user]} leases")


async def tokens_follow_one_another(simulation: Simulation) -> None:
    """A generation is stored over the one before it."""
    for change in simulation.tables["tokens"].changes:
        before = change.before.values["generation"] if change.before else 0
        if change.after.values["generation"] not in {before, before + 1}:  # type: ignore[operator]  # it is a number
            raise Violation(f"generation {change.after.values['generation']} over {before}")


def _leases(simulation: Simulation) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """User, second, and the row as it was before, for each time that somebody took a lease."""
    for change in simulation.tables["tokens"].changes:
        before: dict[str, Any] = change.before.values if change.before else {}
        after: dict[str, Any] = change.after.values
        if after["lease_owner"] and after["lease_owner"] != before.get("lease_owner"):
            yield after["user"], change.at, before


def _opened(change: Change) -> dict[str, str]:
    sealed = change.after.values["credentials"]
    return CIPHER.decrypt(sealed if isinstance(sealed, bytes) else b"") or {}


TOKEN_INVARIANTS: tuple[Invariant, ...] = (
    no_token_is_used_before_it_is_stored,
    one_worker_asks_for_tokens,
    tokens_follow_one_another,
)

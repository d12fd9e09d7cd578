"""`headframe status`: where every stream stands."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer
from rich.table import Table

from devtools.cli.connection import Data, with_services
from devtools.cli.run_details import is_overlong
from devtools.cli.terminal import results
from shared.checkpoint import Checkpoint
from shared.services import Services


@dataclass(slots=True)
class StreamStatus:
    """One stream over all users; `states` counts their latest runs, `overlong` those that are open for too long,
    `delivered` records that are in the output."""

    pipeline: str
    stream: str
    states: dict[str, int] = field(default_factory=dict)
    overlong: int = 0
    pages: int = 0
    records: int = 0
    retries: int = 0
    delivered: int = 0
    last_change: str = ""

    def add(self, checkpoint: Checkpoint) -> None:
        state = str(checkpoint.state)
        self.states[state] = self.states.get(state, 0) + 1
        self.pages += checkpoint.next_seq
        self.records += checkpoint.records
        self.retries += checkpoint.retries
        changed = f"{checkpoint.updated_at:%Y-%m-%d %H:%M:%S}" if checkpoint.updated_at else ""
        self.last_change = max(self.last_change, changed)


def status(data: Data = None, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show where every stream stands: runs by state, pages, records, retries, what is parked.

    Example: headframe status --data ./data
    """
    streams, users, parked = with_services(data, standing)
    if as_json:
        print(to_json(streams, users, parked))
        return
    table = Table("stream", "runs", "pages", "records", "retried", "delivered", "last change (UTC)", box=None)
    for each in streams:
        runs = ", ".join(f"{count} {state}" for state, count in sorted(each.states.items()))
        runs += f" ({each.overlong} overlong)" if each.overlong else ""
        counts = [f"{count:,}" for count in (each.pages, each.records, each.retries, each.delivered)]
        table.add_row(f"{each.pipeline}/{each.stream}", runs, *counts, each.last_change)
    console = results()
    console.print(f"{users:,} users, {parked:,} parked")
    console.print(table)


def to_json(streams: list[StreamStatus], users: int, parked: int) -> str:
    found = {"users": users, "parked": parked, "streams": [asdict(each) for each in streams]}
    return json.dumps(found, indent=2)


async def standing(services: Services) -> tuple[list[StreamStatus], int, int]:
    """Every stream, how many users there are, and how much is parked."""
    checkpoints = await services.checkpoints.all()
    streams = by_stream(checkpoints)
    for each in checkpoints:
        if is_overlong(each, services):
            streams[each.key.pipeline, each.key.stream].overlong += 1
    for delivery in await services.deliveries.all():
        name = (delivery.key.pipeline, delivery.key.stream)
        if name in streams:
            streams[name].delivered += delivery.records
    users = [user.id async for user in services.users.all()]
    parked = [each.id async for each in services.parked.all()]
    return [streams[name] for name in sorted(streams)], len(users), len(parked)


def by_stream(checkpoints: Iterable[Checkpoint]) -> dict[tuple[str, str], StreamStatus]:
    streams: dict[tuple[str, str], StreamStatus] = {}
    for checkpoint in checkpoints:
        name = (checkpoint.key.pipeline, checkpoint.key.stream)
        streams.setdefault(name, StreamStatus(*name)).add(checkpoint)
    return streams

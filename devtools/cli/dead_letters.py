"""`headframe dead-letters`: what was parked because somebody has to look at it."""

import json
import secrets
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from devtools.cli.connection import Data, with_services
from devtools.cli.terminal import results
from shared.adapters.parked_table import Parked
from shared.adapters.service_bus import Outgoing
from shared.checkpoint import Checkpoint, RunState
from shared.errors import BadInput
from shared.messages import WakeUp
from shared.runs import cancel, resume, whole_run
from shared.services import Services

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]

app = typer.Typer(no_args_is_help=True, help="List, replay or drop what was parked.", rich_markup_mode=None)


@app.command("list")
def list_parked(
    data: Data = None, as_json: Annotated[bool, typer.Option("--json", help="As JSON Lines.")] = False
) -> None:
    """List parked runs, and messages that are not ours: id, user, stream, reason, last error.

    Example: headframe dead-letters list --data ./data
    """
    parked = with_services(data, _all)
    if as_json:
        for each in parked:
            print(json.dumps(asdict(each) | {"body": each.body.decode(errors="replace")}, default=str))
        return
    table = Table("id", "user", "stream", "reason", "last error", "parked at", box=None)
    for each in parked:
        stream = f"{each.pipeline}/{each.stream}" if each.run else each.queue
        table.add_row(each.id, each.user, stream, each.reason, each.error, f"{each.parked_at:%Y-%m-%d %H:%M:%S}")
    results().print(table)


@app.command()
def replay(ids: Ids = None, everything: All = False, data: Data = None) -> None:
    """Let parked runs go on from the page where they stopped, and send parked messages again.

    They go on when a host runs: headframe start, or the next headframe mine with this data directory.

    Example: headframe dead-letters replay 20261122T231500Z-0f3a9c/all
    """

    async def work(services: Services) -> int:
        chosen = await _chosen(ids, everything, services)
        for parked in chosen:
            await replay_one(parked, services)
        return len(chosen)

    print(f"replayed {with_services(data, work)}")


@app.command()
def drop(ids: Ids = None, everything: All = False, data: Data = None) -> None:
    """Give up parked runs (their committed pages are still delivered) and forget parked messages.

    Example: headframe dead-letters drop 20261122T231500Z-0f3a9c/all
    """

    async def work(services: Services) -> int:
        chosen = await _chosen(ids, everything, services)
        for parked in chosen:
            await drop_one(parked, services)
        return len(chosen)

    print(f"dropped {with_services(data, work)}")


async def _all(services: Services) -> list[Parked]:
    return [parked async for parked in services.parked.all()]


async def _chosen(ids: list[str] | None, everything: bool, services: Services) -> list[Parked]:
    """All or nothing: an id that is unknown is refused before anything is changed."""
    if bool(ids) == everything:
        raise BadInput("found neither or both of ID and --all, allowed: ids of `headframe dead-letters list`, or --all")
    if everything:
        return await _all(services)
    found = {parked_id: await services.parked.get(parked_id) for parked_id in ids or []}
    if unknown := [parked_id for parked_id, parked in found.items() if parked is None]:
        raise BadInput(f"dead letter {unknown[0]}: found nothing, allowed: an id of `headframe dead-letters list`")
    return [parked for parked in found.values() if parked is not None]


async def replay_one(parked: Parked, services: Services) -> None:
    """Raises Conflict if the run changes meanwhile."""
    checkpoint = await _parked_run(parked, services)
    if checkpoint is not None:
        await resume(checkpoint, services)
        return
    if not parked.run:
        message_id = f"replay/{secrets.token_hex(8)}"  # duplicate detection would drop one it has seen
        await services.broker.send([Outgoing(parked.queue, parked.body, message_id)])
    await services.parked.remove(parked.id)


async def drop_one(parked: Parked, services: Services) -> None:
    """Raises Conflict if the run changes meanwhile."""
    checkpoint = await _parked_run(parked, services)
    if checkpoint is not None:
        await cancel(await whole_run(checkpoint, services), "dropped", services)
    await services.parked.remove(parked.id)


async def _parked_run(parked: Parked, services: Services) -> Checkpoint | None:
    """The checkpoint, if it is still parked for this; the table may name a run that has gone on."""
    if not parked.run:
        return None
    wake_up = WakeUp.decode(parked.body)
    checkpoint = await services.checkpoints.read(wake_up.key, wake_up.slice)
    fits = checkpoint is not None and checkpoint.run == parked.run and checkpoint.state is RunState.PARKED
    return checkpoint if fits else None

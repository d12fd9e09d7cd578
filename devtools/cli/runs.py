"""`headframe runs`: the latest run of each stream and user, one by one; to end it, or to let it go on."""

import json
import sys
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from devtools.cli.connection import Data, with_services
from devtools.cli.run_details import Shown, Waiting, delivered, is_overlong, listed, standing
from devtools.cli.terminal import results, say
from shared import runs
from shared.checkpoint import Checkpoint, RunState
from shared.errors import BadInput, Conflict
from shared.messages import StreamKey
from shared.services import Services

BY_HAND = "cancelled_by_hand"
"""The reason that a run bears which `headframe runs cancel` ended."""

MOST_TRIES = 20
"""A run that is busy changes its checkpoint with every page."""

CANCELLABLE = frozenset({RunState.RUNNING, RunState.PARKED})
RESUMABLE = frozenset({RunState.PARKED, RunState.PARTIAL})

COLUMNS = ("pages", "records", "duplicates", "retries")

Name = Annotated[str, typer.Argument(metavar="PIPELINE/STREAM/USER", help="As headframe runs list shows it.")]
Names = Annotated[
    list[str], typer.Argument(metavar="PIPELINE/STREAM/USER...", help="As headframe runs list shows them.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, a line per run.")]
Overlong = Annotated[
    float | None, typer.Option(min=0, metavar="HOURS", help="Mark runs that are open for longer than this.")
]

app = typer.Typer(no_args_is_help=True, help="List, show, cancel or resume runs.", rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs to list; None is any."""

    pipeline: str | None = None
    stream: str | None = None
    user: str | None = None
    state: RunState | None = None

    def fits(self, checkpoint: Checkpoint) -> bool:
        key = checkpoint.key
        pairs = [
            (self.pipeline, key.pipeline),
            (self.stream, key.stream),
            (self.user, key.user),
            (self.state, checkpoint.state),
        ]
        return all(wanted is None or wanted == found for wanted, found in pairs)


@app.command("list")
def list_runs(
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="Of this pipeline.")] = None,
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Of streams with this name.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Of this user.")] = None,
    state: Annotated[RunState | None, typer.Option(help="In this state.")] = None,
    overlong: Overlong = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the latest run of each stream and user: state, pages, records; runs open for too long are marked.

    Example: headframe runs list --state running --overlong 6 --data ./data
    """
    wanted = Wanted(pipeline, stream, user, state)
    found = with_services(data, lambda services: rows(wanted, overlong, services))
    if as_json:
        for each in found:
            print(json.dumps(each))
        return
    table = Table("run of", "state", *COLUMNS, "started (UTC)", "last change (UTC)", "reason", box=None)
    for each in found:
        state_shown = f"{each['state']}, overlong" if each["overlong"] else str(each["state"])
        counts = [f"{each[column]:,}" for column in COLUMNS]
        moments = [str(each[name] or "") for name in ("started_at", "updated_at")]
        table.add_row(_name_of(each), state_shown, *counts, *moments, str(each["reason"]))
    results().print(table)


@app.command()
def show(name: Name, overlong: Overlong = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show one run: where it stands, its last failure, what waits for delivery and what has been delivered.

    Example: headframe runs show demo/posts/u07 --data ./data
    """
    for facts in with_services(data, lambda services: facts_of(name, overlong, services)):
        if as_json:
            print(json.dumps(facts))
            continue
        table = Table(box=None, show_header=False)
        for fact, value in facts.items():
            table.add_row(fact.replace("_", " "), _readable(value))
        results().print(table)


@app.command()
def cancel(
    names: Names, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, data: Data = None
) -> None:
    """End runs for good. What they committed is still delivered; when the stream is due again, a new run starts.

    Example: headframe runs cancel demo/posts/u07 --yes
    """

    async def work(services: Services) -> int:
        chosen = await _chosen(names, CANCELLABLE, services)
        if not yes:
            confirm(chosen)
        return len([await cancel_one(checkpoint, services) for checkpoint in chosen])

    print(f"cancelled {with_services(data, work)}")


@app.command()
def resume(names: Names, data: Data = None) -> None:
    """Let parked runs go on from the page where they stopped, and partial ones with what they left out.

    They go on when a host runs: headframe start, or the next headframe mine with this data directory.

    Example: headframe runs resume demo/posts/u07
    """

    print(f"resumed {with_services(data, lambda services: resume_all(names, services))}")


async def rows(wanted: Wanted, hours: float | None, services: Services) -> list[dict[str, Shown]]:
    """The runs that are wanted, the oldest first."""
    found = [each for each in await services.checkpoints.all() if wanted.fits(each)]
    found.sort(key=lambda each: (each.started_at, str(each.key)))
    return [listed(each, overlong=is_overlong(each, services, hours)) for each in found]


async def facts_of(name: str, hours: float | None, services: Services) -> list[dict[str, Shown]]:
    """All there is to know of a run, and behind it each of its strands. Raises BadInput if there is none."""
    run = await _run(name, services)
    waiting = Waiting.of([page async for page in services.deliveries.all_waiting(run.key)])
    facts = standing(run, overlong=is_overlong(run, services, hours))
    strands = await services.checkpoints.strands(run) if run.strands else []
    return [
        facts | delivered(await services.deliveries.read(run.key), waiting),
        *(standing(strand, overlong=is_overlong(strand, services, hours)) for strand in strands),
    ]


async def cancel_one(checkpoint: Checkpoint, services: Services) -> Checkpoint:
    """End this run, even if it is committing pages just now.

    Raises BadInput if it ends by itself, or another has begun, meanwhile; Conflict if it never stands still.
    """
    current: Checkpoint | None = checkpoint
    for _ in range(MOST_TRIES):
        if current is None or current.run != checkpoint.run or current.state not in CANCELLABLE:
            raise BadInput(f"run of {checkpoint.key}: found it ended meanwhile, allowed: a run that is open or parked")
        try:
            return await runs.cancel(current, BY_HAND, services)
        except Conflict:
            current = await services.checkpoints.read(checkpoint.key)
    raise Conflict(f"run of {checkpoint.key}: changed {MOST_TRIES} times while it was to be cancelled")


async def resume_all(names: Iterable[str], services: Services) -> int:
    """How many went on. Raises BadInput before anything is changed, Conflict if a run changes meanwhile."""
    chosen = await _chosen(names, RESUMABLE, services)
    for run in chosen:
        await runs.resume(run, services)
    return len(chosen)


def confirm(chosen: Iterable[Checkpoint]) -> None:
    """Ask the person, on standard error. Raises BadInput unless the answer is yes."""
    for each in chosen:
        say(f"{each.key}: {each.state}, {each.next_seq:,} pages, {each.records:,} records")
    say("Cancel for good? [y/N]")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise BadInput("found no yes, so nothing was cancelled; allowed: y, or --yes")


async def _chosen(names: Iterable[str], allowed: Set[RunState], services: Services) -> list[Checkpoint]:
    """All or nothing: a name that does not fit is refused before anything is changed."""
    chosen = [await _run(name, services) for name in dict.fromkeys(names)]
    if unfit := [run for run in chosen if run.state not in allowed]:
        states = ", ".join(sorted(allowed))
        raise BadInput(f"run of {unfit[0].key}: found it {unfit[0].state}, allowed: a run that is {states}")
    return chosen


async def _run(name: str, services: Services) -> Checkpoint:
    parts = name.split("/", 2)  # a user's id may have slashes, the other two have none
    if len(parts) != 3:
        raise BadInput(f"run of {name}: found no two slashes, allowed: PIPELINE/STREAM/USER of `headframe runs list`")
    run = await services.checkpoints.read(StreamKey(*parts))
    if run is None:
        raise BadInput(f"run of {name}: found none, allowed: PIPELINE/STREAM/USER of `headframe runs list`")
    return run


def _name_of(row: dict[str, Shown]) -> str:
    return f"{row['pipeline']}/{row['stream']}/{row['user']}"


def _readable(value: Shown) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return value or ""

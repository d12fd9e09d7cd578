"""What a mining session came to, for a person and for a program."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from shared.adapters.parked_table import Parked
from shared.checkpoint import Checkpoint, RunState

MOST_LISTED = 20
UNFINISHED = (RunState.CANCELLED, RunState.PARTIAL, RunState.FAILED)


@dataclass(frozen=True, slots=True)
class Unmined:
    """A stream that somebody has to look at, or that a user could not be mined for, and why."""

    pipeline: str
    stream: str
    user: str
    reason: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """`pages` and `records` are totals of the runs; `pages_per_second` counts this call's pages only."""

    output: str
    users: int
    runs: dict[str, int]
    pages: int
    records: int
    duplicates: int
    retries: int
    seconds: float
    pages_per_second: float
    resumed: bool
    parked: list[Unmined] = field(default_factory=list)
    skipped: list[Unmined] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 when all runs are done, 1 when something is parked, left out, failed or cancelled."""
        return 1 if self.parked or any(self.runs.get(state) for state in UNFINISHED) else 0

    def as_json(self) -> str:
        return json.dumps({"exit_status": self.exit_status, **asdict(self)}, indent=2)


def summarise(
    checkpoints: Iterable[Checkpoint],
    letters: Iterable[Parked],
    skipped: list[Unmined],
    *,
    output: str,
    users: int,
    seconds: float,
    new_pages: int,
    resumed: bool,
) -> Summary:
    """`letters` are parked messages that belong to no run."""
    runs = list(checkpoints)
    parked = [
        Unmined(each.key.pipeline, each.key.stream, each.key.user, each.reason, each.last_error)
        for each in runs
        if each.state in {RunState.PARKED, RunState.PARTIAL, RunState.FAILED}
    ]
    parked += [Unmined("", "", "", letter.reason, letter.error) for letter in letters]
    return Summary(
        output=output,
        users=users,
        runs=dict(Counter(str(each.state) for each in runs)),
        pages=sum(each.next_seq for each in runs),
        records=sum(each.records for each in runs),
        duplicates=sum(each.duplicates for each in runs),
        retries=sum(each.retries for each in runs),
        seconds=round(seconds, 1),
        pages_per_second=round(new_pages / seconds, 1) if seconds else 0.0,
        resumed=resumed,
        parked=sorted(parked, key=lambda each: (each.reason, each.user)),
        skipped=skipped,
    )


def show(summary: Summary, console: Console) -> None:
    states = ", ".join(f"{count} {state}" for state, count in sorted(summary.runs.items())) or "none"
    console.print(f"{summary.records:,} records of {summary.users:,} users in {summary.output}", style="bold")
    console.print(f"runs      {states}{', resumed' if summary.resumed else ''}")
    console.print(f"pages     {summary.pages:,} ({summary.pages_per_second:,} a second over {summary.seconds} s)")
    console.print(f"retried   {summary.retries:,} calls; {summary.duplicates:,} records came again and were left out")
    _list("parked", summary.parked, console)
    _list("skipped", summary.skipped, console)


def _list(title: str, unmined: list[Unmined], console: Console) -> None:
    if not unmined:
        return
    reasons = Counter(each.reason for each in unmined)
    console.print(f"{title:<9} " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())))
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("user", "stream", "reason", "last error"):
        table.add_column(column, overflow="fold")
    for each in unmined[:MOST_LISTED]:
        table.add_row(each.user, f"{each.pipeline}/{each.stream}", each.reason, each.error)
    console.print(table)
    if len(unmined) > MOST_LISTED:
        console.print(f"… and {len(unmined) - MOST_LISTED} more (--json lists all)")

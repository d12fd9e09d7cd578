"""`headframe plan`: what a run would ask for, before anything runs."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from devtools.cli.terminal import results
from shared.errors import BadInput
from shared.pipeline.loader import load_file
from shared.pipeline.marks import mark_of, written
from shared.pipeline.slices import Plan, Slice, plan_of
from shared.pipeline.spec import Pipeline, Stream
from shared.pipeline.watermarks import Span, span_of
from shared.services import utc_now

MOST_SHOWN = 3
MOST_COUNTED = 100_000
"""Slices of one run that are counted; nobody wants more."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One run of one stream for one user. `slices` and `calls` None: only the source can tell.

    `calls` is what `records` would take, `at_least` what is certain.
    """

    stream: str
    slices: int | None
    a_slice_is: str
    first: list[str] = field(default_factory=list)
    at_a_time: int = 1
    at_least: int = 1
    calls: int | None = None
    messages: int | None = None


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline file.")],
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Which stream; all of the file.")] = None,
    since: Annotated[str, typer.Option(metavar="MARK", help="The watermark; without it the first run of a user.")] = "",
    records: Annotated[
        int | None, typer.Option(min=0, help="Records that a run of a stream brings, to estimate its calls.")
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="How many users there are.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the slices of a run and what they cost at least, without asking anybody.

    Example: headframe plan shop.yaml --records 12000 --users 500

    A slice is a part of a run with pages of its own. The estimate takes the page size that the file asks for. What only
    the first answer or a parent's records can tell is said to be so.
    """
    pipeline = load_file(file)
    chosen = [each for each in pipeline.streams if stream in {None, each.name}]
    if not chosen:
        allowed = ", ".join(each.name for each in pipeline.streams)
        raise BadInput(f"--stream: found {stream!r}, allowed: a stream of {file} ({allowed})")
    now = utc_now()
    planned = [planned_run(each, _watermark(each, since), now, records) for each in chosen]
    if as_json:
        told = {"pipeline": pipeline.pipeline, "users": users, "streams": [asdict(each) for each in planned]}
        print(json.dumps(told, indent=2))
        return
    _show(pipeline, planned, users)


def planned_run(stream: Stream, watermark: str, now: datetime, records: int | None = None) -> Planned:
    """What a run that begins now asks for."""
    if stream.parent is not None:
        fed = stream.parent
        each = f"{fed.batch_size} records of {fed.stream}" if fed.batch_size > 1 else f"a record of {fed.stream}"
        return Planned(stream.name, None, each, at_a_time=stream.at_once, at_least=0)
    if stream.parallel is not None and stream.parallel.strategy != "time_windows":
        return _cut_by_the_first_answer(stream, records)
    asks = stream.incremental
    found = plan_of(stream, span_of(asks, watermark, now) if asks else Span())
    slices = _slices(found)
    what = "the whole stream" if asks is None else "what has changed" if len(slices) == 1 else "a window"
    calls = _calls(stream, records, len(slices))
    return Planned(
        stream.name,
        len(slices),
        what,
        [_told(stream, each) for each in slices[:MOST_SHOWN]] if asks is not None else [],
        stream.at_once,
        len(slices),
        calls,
        _messages(stream, calls),
    )


def _cut_by_the_first_answer(stream: Stream, records: int | None) -> Planned:
    parallel = stream.parallel
    if parallel is None:
        raise ValueError("the stream is not cut")
    calls = _calls(stream, records, 1)
    if parallel.strategy == "known_pages":
        pages = parallel.pages or calls
        slices = ceil(pages / parallel.pages_per_slice) if pages else None
        told = f"{parallel.pages_per_slice} pages"
        return Planned(stream.name, slices, told, [], stream.at_once, parallel.pages or 1, pages, pages)
    slices = max(1, ceil(records / parallel.records_per_slice)) if records is not None else None
    told = f"{parallel.records_per_slice} records, as the first answer counts them"
    return Planned(stream.name, slices, told, [], stream.at_once, 1, calls, calls)


def _slices(found: Plan) -> list[Slice]:
    slices: list[Slice] = []
    while len(slices) < MOST_COUNTED and (each := found.slice_at(len(slices))) is not None:
        slices.append(each)
    return slices


def _calls(stream: Stream, records: int | None, slices: int) -> int | None:
    """Pages of so many records, spread over the slices."""
    if records is None or not stream.asked_for:
        return None
    return max(slices, ceil(records / stream.asked_for))


def _messages(stream: Stream, calls: int | None) -> int | None:
    return ceil(calls / (stream.pages_per_message or 1)) if calls is not None else None


def _told(stream: Stream, each: Slice) -> str:
    asks = stream.incremental
    if asks is None:
        return ""
    edges = [written(mark, asks.format) if mark else "" for mark in (each.since, each.until)]
    return f"{edges[0] or 'the beginning'} to {edges[1] or 'the end'}"


def _watermark(stream: Stream, since: str) -> str:
    if not since or stream.incremental is None:
        return ""
    format_ = stream.incremental.format
    try:
        return mark_of(since, format_)
    except ValueError:
        raise BadInput(f"--since: found {since!r}, allowed: a mark of {stream.name}, of format {format_}") from None


def _show(pipeline: Pipeline, planned: list[Planned], users: int) -> None:
    table = Table("stream", "slices", "a slice is", "at a time", "calls at least", "calls", "messages", box=None)
    for each in planned:
        counts = [_number(count) for count in (each.at_least, each.calls, each.messages)]
        table.add_row(each.stream, _number(each.slices), each.a_slice_is, str(each.at_a_time), *counts)
    console = results()
    console.print(f"a run of {pipeline.pipeline} for one user")
    console.print(table)
    for each in planned:
        for number, told in enumerate(each.first, 1):
            console.print(f"{each.stream} slice {number}: {told}")
        if each.slices is not None and each.slices > len(each.first) > 0:
            console.print(f"{each.stream}: and {each.slices - len(each.first):,} more")
    if users > 1:
        least = sum(each.at_least for each in planned)
        known = [each.calls for each in planned if each.calls is not None]
        estimate = f", {sum(known) * users:,} as estimated" if known else ""
        console.print(f"{users:,} users: {least * users:,} calls at least{estimate}")


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"

"""`headframe backfill`: ask for a run of a range, or of everything anew."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from devtools.cli.connection import Data, with_services
from shared.checkpoint import Extent
from shared.errors import BadInput
from shared.pipeline.loader import load_file
from shared.pipeline.marks import mark_of
from shared.pipeline.spec import PLACEHOLDER, Incremental, Pipeline, Stream
from shared.services import Services


def backfill(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline file.")],
    stream: Annotated[str, typer.Option(metavar="NAME", help="Which stream.")],
    since: Annotated[str, typer.Option("--from", metavar="MARK", help="Where the range begins.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="MARK", help="Where it ends; this mark is not in it.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Everything anew, whatever is known already.")] = False,
    data: Data = None,
) -> None:
    """Ask for a run of a range of every user, or with --full for one of everything anew.

    Marks are in the format that the stream's `incremental` names. A range leaves the watermark where it is; records
    that are known already do not come again. A user whose run is open at that moment is passed over.

    The runs start with the next tick of a host: headframe start, or the next headframe mine with this data directory.

    Example: headframe backfill shop.yaml --stream orders --from 2025-01-01 --to 2025-02-01 --data ./data
    """
    pipeline = load_file(file)
    chosen = pipeline.stream(stream)
    if chosen is None:
        allowed = ", ".join(each.name for each in pipeline.streams)
        raise BadInput(f"--stream: found {stream!r}, allowed: a stream of {file} ({allowed})")
    if chosen.parent is not None:
        raise BadInput(
            f"--stream: found {stream}, whose runs follow those of its parent, allowed: {chosen.parent.stream}"
        )
    extent = extent_of(chosen, since, until, full=full)
    tick = with_services(data, lambda services: request(pipeline, chosen, extent, services))
    print(f"asked for a run of {pipeline.pipeline}/{chosen.name} for every user, as of {tick:%Y-%m-%d %H:%M:%S} UTC")


def extent_of(stream: Stream, since: str, until: str, *, full: bool) -> Extent:
    """What the options ask for. Raises BadInput where they do not fit together or to the stream."""
    if full and (since or until):
        raise BadInput("--full: found it with --from or --to, allowed: one or the other")
    if full:
        return Extent(full=True)
    if not since and not until:
        raise BadInput("--from: found nothing, allowed: --from, --to or both, or --full")
    asks = stream.incremental
    if asks is None:
        raise BadInput(f"--from: found a range for {stream.name}, allowed: a stream with incremental, or --full")
    if until and not _sends_its_end(stream, asks):
        raise BadInput(f"--to: found it for {stream.name}, allowed: with incremental.end_param or {{window.end}}")
    return Extent(_mark("--from", since, asks), _mark("--to", until, asks))


async def request(pipeline: Pipeline, stream: Stream, extent: Extent, services: Services) -> datetime:
    """Leave the request where the scheduler looks. The moment that it is for."""
    tick = services.now().astimezone(UTC).replace(microsecond=0)
    await services.schedules.request(pipeline.pipeline, stream.name, tick, extent)
    return tick


def _sends_its_end(stream: Stream, asks: Incremental) -> bool:
    return asks.end_param is not None or ("window", "end") in PLACEHOLDER.findall(stream.model_dump_json())


def _mark(option: str, value: str, asks: Incremental) -> str:
    try:
        return mark_of(value, asks.format) if value else ""
    except ValueError:
        raise BadInput(f"{option}: found {value!r}, allowed: a mark of format {asks.format}") from None

"""`headframe compact`: small objects of an output become large ones, now."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from devtools.cli.connection import Data, with_services
from devtools.cli.terminal import say
from processors.compaction import Wanted, compact_folder, folders_of
from shared.adapters.local_folder import LocalFolder
from shared.adapters.objects import ObjectStore
from shared.errors import BadInput
from shared.pipeline.spec.fields import Duration
from shared.services import utc_now

FEWEST = 2
"""Whoever calls wants it done."""


def compact(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A folder of records, or blob://CONTAINER.")],
    older_than: Annotated[
        str, typer.Option(metavar="SPAN", help="Leave younger objects alone, such as 30m or P1D.")
    ] = "1h",
    most_bytes: Annotated[int, typer.Option("--bytes", min=1, help="About so large become the merged ones.")] = 64
    * 2**20,
    show: Annotated[bool, typer.Option("--show", help="Change nothing; print the objects that count.")] = False,
    data: Data = None,
) -> None:
    """Merge small objects of an output, and delete what has been replaced for long enough.

    Example: headframe compact ./out --older-than 30m, then headframe compact ./out --show | xargs cat | wc -l

    Each record is in exactly one of the objects that --show prints, while objects are written and merged too. The
    folder's log (FOLDER/_merged/*.json) says which ones have been replaced; these are deleted by a later call.
    """
    wanted = Wanted(_span(older_than), most_bytes, FEWEST)

    async def work(store: ObjectStore) -> None:
        if show:
            await _show(store, place.rstrip("/"))
        else:
            await _compact(store, wanted)

    _with_place(place, data, work)


async def _show(store: ObjectStore, place: str) -> None:
    async for folder in folders_of(store):
        for name in folder.counted():
            print(f"{place}/{name}")


async def _compact(store: ObjectStore, wanted: Wanted) -> None:
    counts: Counter[str] = Counter()
    async for folder in folders_of(store):
        done = await compact_folder(folder, store, wanted, utc_now())
        counts += done
        if done:
            say(f"{folder.path}: " + ", ".join(f"{number} {what}" for what, number in sorted(done.items())))
    print(f"{counts['merged']} objects merged into {counts['objects']}, {counts['swept']} replaced ones deleted")


def _with_place(place: str, data: Path | None, work: Callable[[ObjectStore], Awaitable[None]]) -> None:
    if place.startswith("blob://"):
        with_services(data, lambda services: work(services.place_at(place)))
        return
    folder = Path(place)
    if not folder.is_dir():
        raise BadInput(f"PLACE: found {place!r}, allowed: a folder that is there, or blob://CONTAINER")

    async def local() -> None:
        await work(LocalFolder(folder))

    asyncio.run(local())


def _span(text: str) -> timedelta:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise BadInput(f"--older-than: found {text!r}, allowed: a span such as 90s, 30m, 1h or P1D") from None

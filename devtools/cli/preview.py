"""`headframe preview`: the first pages of one stream, live, with nothing stored and nothing else running."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from devtools.cli.masking import Mask, secrets_in
from devtools.cli.preview_access import with_access
from devtools.cli.preview_parents import with_parents
from devtools.cli.preview_steps import Subject, looks
from devtools.cli.preview_user import FORMS, user_of
from devtools.cli.preview_view import Facts, facts_of, show
from devtools.cli.terminal import results
from shared.adapters.source_http import SourceHttp
from shared.errors import BadInput, RequestRejected
from shared.log import guard_handlers
from shared.pipeline.loader import load_file
from shared.pipeline.spec import Pipeline, Stream
from shared.services import utc_now
from shared.settings import Settings


def preview(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline file.")],
    user: Annotated[str, typer.Option(metavar="USER", help="Who asks: {user.id} in the file.")],
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Which stream; the first of the file.")] = None,
    pages: Annotated[int, typer.Option(min=1, max=100, help="How many pages.")] = 1,
    users_file: Annotated[
        Path | None, typer.Option("--users", metavar="FILE", help="Users as JSON Lines; - reads standard input.")
    ] = None,
    credential: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help=FORMS)] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="In the same forms.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Ask the source for the first pages of a stream and show what comes of it. Nothing is stored.

    Example: headframe preview shop.yaml --user u01 --credential token=@env:TOKEN --pages 2

    Shown are the request with its credential hidden, the answer, the first records, and what would be asked next;
    or the kind of failure, what the miner would do, and which key of the file to look at. Of a stream that is fed by
    another one, what its parent's first record leads to.

    Exit status: 0 all pages could be read, 1 the source refused or failed, 2 bad input.
    """
    guard_handlers()
    pipeline = load_file(file)
    chosen = _stream(pipeline, stream, file)
    subject = Subject(pipeline, chosen, user_of(user, users_file, credential or [], param or [], pipeline), utc_now())
    if chosen.extractor is not None:
        raise BadInput(f"{file}: found an extractor in {chosen.name}, allowed: a stream with a paginator")
    found = asyncio.run(_preview(subject, pages, str(file), as_json=as_json))
    if as_json:
        head = {"pipeline": pipeline.pipeline, "stream": chosen.name, "user": user}
        print(json.dumps({**head, "pages": found}, indent=2, ensure_ascii=False))
    sys.exit(1 if any("error" in each for each in found) else 0)


def _stream(pipeline: Pipeline, name: str | None, file: Path) -> Stream:
    found = pipeline.stream(name) if name is not None else pipeline.streams[0]
    if found is None:
        allowed = ", ".join(stream.name for stream in pipeline.streams)
        raise BadInput(f"--stream: found {name!r}, allowed: a stream of {file} ({allowed})")
    return found


async def _preview(subject: Subject, pages: int, file: str, *, as_json: bool) -> list[Facts]:
    """The facts of each look; for a person they are shown as they come."""
    subject = await with_access(subject)
    mask, source, found = _mask(subject), _source(), []
    try:
        subject = await with_parents(subject, source, utc_now)
        async for look in looks(subject, pages, source, utc_now):
            found.append(facts_of(look, subject, mask))
            if not as_json:
                show(found[-1], file, results())
    finally:
        await source.close()
    return found


def _mask(subject: Subject) -> Mask:
    try:
        return Mask(secrets_in([*subject.user.credentials.values(), subject.access], subject.attachment))
    except RequestRejected as error:
        raise BadInput(f"source.auth: {error}, allowed: a user that has what it names") from None


def _source() -> SourceHttp:
    """As the miner has it with the defaults of the settings."""
    settings = Settings.model_fields
    return SourceHttp(
        settings["request_seconds"].default,
        settings["client_idle_seconds"].default,
        settings["client_limit"].default,
    )

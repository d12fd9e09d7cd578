"""`headframe init`: a pipeline file to begin with, from options, answers or an OpenAPI document."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from devtools.cli.init_draft import AUTH, PAGINATORS, Draft, Part, StreamDraft, text_of
from devtools.cli.init_openapi import draft_of, read_document
from devtools.cli.terminal import say
from devtools.places import ROOT
from shared.errors import BadInput
from shared.pipeline.loader import load_text
from shared.pipeline.spec import Pipeline

SCHEMA = ROOT / "docs" / "pipeline.schema.json"

Ask = Callable[[str, str], str]
"""A question and its default; the answer."""


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the pipeline.")],
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="What all paths have in common.")] = None,
    auth: Annotated[str | None, typer.Option(metavar="|".join(AUTH), help="How a user is let in.")] = None,
    paginator: Annotated[str | None, typer.Option(metavar="|".join(PAGINATORS), help="How pages are followed.")] = None,
    stream: Annotated[list[str] | None, typer.Option(metavar="NAME:PATH", help="An endpoint; may be repeated.")] = None,
    records: Annotated[str | None, typer.Option(metavar="PATH", help="Where bodies have their list.")] = None,
    openapi: Annotated[Path | None, typer.Option(metavar="FILE", help="An OpenAPI 3 document, JSON or YAML.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="NAME.yaml by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a pipeline file to begin with, with comments. What is not given is asked for, on a terminal.

    Example: headframe init shop --base-url https://api.example.com/v1 --stream orders:/orders --paginator cursor

    With --openapi the streams are those GET operations of the document that answer with lists; comments in the file
    say what was guessed. A file that is there is not touched without --force.
    """
    file = output or Path(f"{name}.yaml")
    ask = _asked if sys.stdin.isatty() else _not_asked
    _refuse_unknown("--auth", auth, AUTH)
    _refuse_unknown("--paginator", paginator, PAGINATORS)
    if file.exists() and not force:
        raise BadInput(f"{file}: found a file, allowed: another name (-o FILE), or --force to write over it")
    if openapi is not None:
        if stream or records or paginator:
            raise BadInput("--openapi: found with --stream, --records or --paginator, allowed: without these")
        draft = draft_of(name, read_document(openapi), base_url, AUTH.get(auth or ""))
        draft = replace(draft, base_url=draft.base_url or ask("base URL", ""))
    else:
        draft = _draft(name, base_url, auth, paginator, stream or [], records, ask)
    text = text_of(draft, _schema_from(file))
    pipeline = load_text(text, str(file))
    _write(file, text, force=force)
    _say_what_is_next(file, pipeline)


def _draft(
    name: str,
    base_url: str | None,
    auth: str | None,
    paginator: str | None,
    streams: list[str],
    records: str | None,
    ask: Ask,
) -> Draft:
    """From options, and answers where these are missing; each question has a default but those for URL and stream."""
    base_url = base_url or ask("base URL", "")
    chosen = _chosen("auth", auth, AUTH, "bearer", ask)
    streams = streams or [ask("stream, as NAME:PATH", "")]
    if records is None and ask is _asked:
        records = ask("path of the records in the body (- where the body itself is the list)", "data")
    pages = _chosen("paginator", paginator, PAGINATORS, "single_page", ask)
    found = None if records in (None, "-") else records
    return Draft(name, base_url, chosen, tuple(_stream(each, pages, found) for each in streams))


def _stream(given: str, paginator: Part, records: str | None) -> StreamDraft:
    name, colon, path = given.partition(":")
    if not name or not colon or not path:
        raise BadInput(f"--stream: found {given!r}, allowed: NAME:PATH, such as orders:/orders")
    return StreamDraft(name, path, paginator, records)


def _chosen(what: str, given: str | None, kinds: dict[str, Part], default: str, ask: Ask) -> Part:
    kind = given or ask(f"{what} ({', '.join(kinds)})", default)
    _refuse_unknown(f"--{what}", kind, kinds)
    return kinds[kind]


def _refuse_unknown(option: str, given: str | None, kinds: dict[str, Part]) -> None:
    if given is not None and given not in kinds:
        raise BadInput(f"{option}: found {given!r}, allowed: {', '.join(kinds)}")


def _asked(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default or None, err=True))


def _not_asked(question: str, default: str) -> str:
    if not default:
        raise BadInput(f"found no {question}, allowed: --base-url URL and --stream NAME:PATH, or a terminal to ask on")
    return default


def _schema_from(file: Path) -> str | None:
    """Where the schema is, seen from a file inside the project."""
    folder = file.resolve().parent
    return os.path.relpath(SCHEMA, folder) if folder.is_relative_to(ROOT) else None


def _write(file: Path, text: str, *, force: bool) -> None:
    """Somebody may have made the file meanwhile; it is not written over either."""
    try:
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise BadInput(f"{file}: found {error.strerror}, allowed: a file that can be made") from None


def _say_what_is_next(file: Path, pipeline: Pipeline) -> None:
    credentials = "".join(f" --credential {name}=@env:{name.upper()}" for name in sorted(pipeline.credentials))
    params = "".join(f" --param {name}=…" for name in sorted(pipeline.params))
    print(f"wrote {file} (streams: {', '.join(stream.name for stream in pipeline.streams)})")
    say(f"next: headframe preview {file} --user u01{credentials}{params}")

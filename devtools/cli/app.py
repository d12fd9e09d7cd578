"""The commands of `headframe`. Whatever goes wrong becomes one line on standard error and an exit status:
1 something is parked, 2 bad input, 3 a part of the stack failed, 130 interrupted."""

import os
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from devtools.cli import (
    backfill,
    compact,
    dead_letters,
    demo,
    init,
    mine,
    plan,
    preview,
    runs,
    start,
    status,
    summary,
    users,
)
from devtools.cli.progress import Display
from devtools.cli.terminal import messages, results, say
from devtools.cli.users_file import read_users
from devtools.stand_ins import app_settings
from devtools.stand_ins.data_folder import DataFolder, temporary
from shared.errors import BadInput, HeadframeError
from shared.pipeline.loader import load_file, load_folder

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback shows local variables, and these may be credentials
    rich_markup_mode=None,
    help="Extract data from authenticated, paginated HTTP APIs for many users at once.",
)
app.add_typer(users.app, name="users")
app.add_typer(runs.app, name="runs")
app.add_typer(dead_letters.app, name="dead-letters")
app.command("status")(status.status)
app.command("preview")(preview.preview)
app.command("init")(init.init)
app.command("plan")(plan.plan)
app.command("backfill")(backfill.backfill)
app.command("compact")(compact.compact)


def main() -> None:
    """Entry point of the console script."""
    os.environ.update(app_settings.environment({}))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command inherits it as ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app(prog_name="headframe", standalone_mode=True)
    except BadInput as error:
        _fail(str(error), 2)
    except HeadframeError as error:
        _fail(str(error), 3)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(lines: str, exit_status: int) -> None:
    for line in lines.splitlines():
        say(f"headframe: {line}")
    sys.exit(exit_status)


AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@app.command("mine")
def mine_command(
    pipelines: Annotated[Path, typer.Option(metavar="DIR", help="Folder of pipeline files (*.yaml).")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the records, as JSON Lines.")],
    users_file: Annotated[
        Path | None, typer.Option("--users", metavar="FILE", help="Users as JSON Lines; - reads standard input.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep all state here, so that a killed call goes on when repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mine every stream of every pipeline for every user, on this machine, once.

    Example: headframe mine --pipelines ./pipelines --users users.jsonl --output ./out --data ./data

    Each line of the users file: {"user": "u01", "credentials": {"token": "..."}, "params": {"region": "eu"}}

    The output is one folder per stream and day: out/PIPELINE/STREAM/date=YYYY-MM-DD/*.jsonl. With --data a second
    call fetches everything again but writes only what is new or changed; without, nothing is remembered.

    Exit status: 0 all runs are done, 1 something is parked (listed), 2 bad input, 3 a part of the stack failed.
    """
    specs = load_folder(pipelines)
    users_found = read_users(users_file) if users_file else None
    if users_found is None and data is None:
        raise BadInput("--users: found nothing, allowed: a file of users (or --data DIR of a call that had one)")
    if users_found is not None:
        users_found.require(specs.values())
    job = mine.Job(pipelines, specs, users_found, output)
    with _data_folder(data) as folder, Display(messages()).running() as display:
        mined = mine.mine(job, folder, display)
    if as_json:
        print(mined.as_json())
    else:
        summary.show(mined, results())
    sys.exit(mined.exit_status)


@app.command("demo")
def demo_command(
    users_count: Annotated[int, typer.Option("--users", min=1, max=10_000, help="How many users.")] = 200,
    seed: Annotated[int, typer.Option(help="Everything the demo API does follows from it.")] = 7,
    faults: Annotated[
        str, typer.Option(metavar="none|default|FILE", help="What goes wrong, and how often.")
    ] = "default",
) -> None:
    """Mine the users of a demo API that fails on purpose, and compare the output with its own truth.

    Example: headframe demo --users 50 --faults none

    Exit status: 0 if nothing is missing, doubled or foreign and every run ended as it had to, otherwise 1.
    """
    with Display(messages()).running() as display:
        mined, verdict = demo.demo(demo.Demo(users_count, seed, faults), display)
    demo.show(mined, verdict, results())
    sys.exit(0 if verdict.clean else 1)


@app.command("start")
def start_command(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where the stand-ins keep their data.")] = start.DATA,
    with_host: Annotated[
        bool, typer.Option("--host/--no-host", help="Without the local host, to run `func start` instead.")
    ] = True,
) -> None:
    """Start the stand-ins on their usual ports and the local host, until Ctrl-C.

    Example: headframe start --no-host, and in another terminal: func start
    """
    start.start(data, say, with_host=with_host)


@app.command("stop")
def stop_command(
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Data directory of a headframe mine.")] = None,
) -> None:
    """Stop stand-ins that a killed command left running. Nothing is lost.

    Example: headframe stop --data ./data
    """
    start.stop(data, say)


@app.command("validate")
def validate(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Check pipeline files; each mistake is told by file, line, path, what was found and what is allowed.

    Example: headframe validate pipelines/*.yaml
    """
    mistakes = []
    for file in files:
        try:
            pipeline = load_file(file)
        except BadInput as error:
            mistakes.append(str(error))
        else:
            streams = ", ".join(stream.name for stream in pipeline.streams)
            print(f"{file}: pipeline {pipeline.pipeline} is right (streams: {streams})")
    if mistakes:
        raise BadInput("\n".join(mistakes))


def _data_folder(data: Path | None) -> AbstractContextManager[DataFolder]:
    return DataFolder.opened(data) if data else temporary()

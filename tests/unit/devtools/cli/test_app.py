"""The command as a person types it; what needs the stack is in tests/integration/cli."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.cli.app import app
from shared.errors import BadInput

HEADFRAME = Path(sys.executable).with_name("headframe")
PIPELINES = Path(__file__).resolve().parents[4] / "pipelines"


def _refusal(*arguments: object) -> str:
    """What a command gives as the reason that it does nothing."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, BadInput)
    return str(result.exception)


COMMANDS = [
    ["mine"],
    ["demo"],
    ["start"],
    ["stop"],
    ["status"],
    ["validate"],
    ["preview"],
    ["init"],
    *(["users", name] for name in ("add", "list", "pause", "resume", "remove")),
    *(["runs", name] for name in ("list", "show", "cancel", "resume")),
    *(["dead-letters", name] for name in ("list", "replay", "drop")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_teaches_with_an_example(command: list[str]):
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: headframe {' '.join(command)}" in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--users", "{here}/none.jsonl"], "none.jsonl: found No such file or directory, allowed: a readable file"),
        (["--users", "{here}/bad.jsonl"], "bad.jsonl:1: found no JSON, allowed:"),
        (["--users", "{here}/lacking.jsonl"], "lacking.jsonl:1: user ann: found no credential 'token', allowed:"),
        ([], "--users: found nothing, allowed: a file of users (or --data DIR of a call that had one)"),
        (["--users", "{here}/good.jsonl", "--data", "{here}/bad.jsonl/x"], "found Not a directory, allowed: a folder"),
        (
            ["--users", "{here}/good.jsonl", "--output", "{here}/bad.jsonl/x"],
            "found Not a directory, allowed: a folder",
        ),
        (["--users", "{here}/good.jsonl", "--output", "{here}/old"], "old: found records of pipeline demo, allowed:"),
    ],
)
def test_bad_input_of_mine_is_told_before_anything_is_started(tmp_path: Path, arguments: list[str], message: str):
    params = {"base_url": "http://127.0.0.1:1"}
    (tmp_path / "bad.jsonl").write_text("hello\n")
    (tmp_path / "lacking.jsonl").write_text(json.dumps({"user": "ann", "params": params}))
    good = {"user": "ann", "credentials": {"token": "secret-of-ann"}, "params": params}
    (tmp_path / "good.jsonl").write_text(json.dumps(good))
    old = tmp_path / "old" / "demo" / "posts" / "date=2026-01-01"
    old.mkdir(parents=True)
    (old / "part.jsonl").touch()
    output = [] if "--output" in arguments else ["--output", tmp_path / "output"]
    given = [argument.format(here=tmp_path) for argument in arguments]
    refusal = _refusal("mine", "--pipelines", PIPELINES, *output, *given)
    assert message in refusal
    assert "secret-of-ann" not in refusal


def test_validate_tells_every_mistake_of_every_file(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("pipeline: a\nsauce: 1\n")
    (tmp_path / "b.yaml").write_text("[")
    refusal = _refusal("validate", PIPELINES / "demo.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert f"{tmp_path}/a.yaml:2: sauce: found an unknown key" in refusal
    assert f"{tmp_path}/b.yaml" in refusal
    assert "demo.yaml" not in refusal


def test_a_data_directory_that_is_not_there_is_not_made(tmp_path: Path):
    refusal = _refusal("status", "--data", tmp_path / "none")
    assert refusal.endswith("found no folder, allowed: the data directory of an earlier headframe mine")
    assert not (tmp_path / "none").exists()


def test_bad_input_is_exit_status_2_and_one_line_without_a_traceback():
    done = subprocess.run(
        [HEADFRAME, "validate", "/none.yaml"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.startswith("headframe: /none.yaml: ")
    assert len(done.stderr.splitlines()) == 1

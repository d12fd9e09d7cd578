"""`headframe compact`: many small files become one, and `--show` prints those that count."""

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.cli.app import app
from shared.errors import BadInput

FOLDER = "social/posts/date=2026-11-22"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Twelve objects, three hours old."""
    folder = tmp_path / "out" / FOLDER
    folder.mkdir(parents=True)
    for number in range(12):
        file = folder / f"20261122T120000Z-0c666c357097342c-all-{number:06d}-{number:06d}.jsonl"
        file.write_text(f'{{"id":{number}}}\n')
        os.utime(file, (time.time() - 3 * 3600,) * 2)
    return tmp_path / "out"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["compact", *map(str, arguments)], catch_exceptions=True)
    if isinstance(result.exception, BadInput):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def lines_of(shown: str) -> list[str]:
    return [line for name in shown.split() for line in Path(name).read_text().splitlines()]


def test_small_files_become_one_and_count_once(output: Path):
    before = lines_of(run(output, "--show"))
    assert run(output).startswith("12 objects merged into 1")
    shown = run(output, "--show")
    assert len(shown.split()) == 1
    assert lines_of(shown) == before


def test_what_was_replaced_goes_with_a_later_call(output: Path):
    run(output)
    assert "12 replaced ones deleted" in run(output, "--older-than", "0s")
    assert len(list((output / FOLDER).glob("*.jsonl"))) == 1


def test_nothing_is_old_enough(output: Path):
    assert run(output, "--older-than", "1d").startswith("0 objects")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--older-than", "soon"), "--older-than: found 'soon', allowed: a span"),
        (("--older-than", "-1h"), "--older-than: found '-1h'"),
    ],
)
def test_a_wrong_span_is_refused(output: Path, arguments: tuple[str, ...], said: str):
    with pytest.raises(BadInput, match=said):
        run(output, *arguments)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match=r"PLACE: found .*nowhere'"):
        run(tmp_path / "nowhere")

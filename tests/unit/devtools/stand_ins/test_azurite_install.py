"""npm is played by a small script, so that its failures and its sudden death can be shown."""

import sys
from pathlib import Path

import pytest

from devtools.stand_ins.azurite_install import Node, install
from shared.errors import BadInput

WORKS = """
import pathlib
script = pathlib.Path("node_modules/azurite/dist/src/azurite.js")
script.parent.mkdir(parents=True)
script.write_text("installed")
"""
FAILS = """
import sys
print("npm error code ENOTFOUND", file=sys.stderr)
print("npm error network request to the registry failed", file=sys.stderr)
print("npm error A complete log of this run can be found in: /x/_logs/1-debug-0.log", file=sys.stderr)
sys.exit(1)
"""
IS_KILLED = """
import os, pathlib, signal
pathlib.Path("node_modules").mkdir()
os.kill(os.getpid(), signal.SIGKILL)
"""


def _npm(folder: Path, behaviour: str) -> Node:
    script = folder / "npm.py"
    script.write_text(behaviour)
    return Node(Path(sys.executable), script)


def test_azurite_is_installed_once(tmp_path: Path):
    """The second call runs no npm and says nothing."""
    said: list[str] = []
    cache = tmp_path / "cache"
    first = install(said.append, cache, _npm(tmp_path, WORKS))
    second = install(said.append, cache, _npm(tmp_path, FAILS))
    assert first == second
    assert first.script.read_text() == "installed"
    assert len(said) == 1
    assert said[0].startswith("installing azurite-3.")


def test_a_failing_npm_is_one_line_with_its_last_error(tmp_path: Path):
    with pytest.raises(BadInput) as refused:
        install(lambda line: None, tmp_path / "cache", _npm(tmp_path, FAILS))
    assert str(refused.value) == (
        "Azurite could not be installed: npm ended with 1: network request to the registry failed"
    )


def test_a_killed_installation_is_not_taken_for_a_finished_one(tmp_path: Path):
    cache = tmp_path / "cache"
    with pytest.raises(BadInput, match="npm ended with -9"):
        install(lambda line: None, cache, _npm(tmp_path, IS_KILLED))
    installed = install(lambda line: None, cache, _npm(tmp_path, WORKS))
    assert installed.script.read_text() == "installed"


def test_what_a_killed_command_left_unfinished_is_swept_away(tmp_path: Path):
    """Killed together with npm, nobody could clean up; the next call does."""
    cache = tmp_path / "cache"
    left = cache / "azurite.unfinished" / "node_modules" / "half"
    left.mkdir(parents=True)
    installed = install(lambda line: None, cache, _npm(tmp_path, WORKS))
    assert not (installed.script.parents[3] / "half").exists()

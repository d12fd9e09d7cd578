"""Interpreters are played by small scripts: each answers the question for its version, one lacks ensurepip."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "devtools" / "set_up.sh"

WORKS = 'case "$2" in *version_info*) echo {version} ;; *) exit 0 ;; esac'
LACKS_ENSUREPIP = 'case "$2" in *version_info*) echo {version} ;; *) exit 1 ;; esac'
UNSELECTED_SHIM = 'echo "pyenv: command not found" >&2; exit 127'


def _interpreter(folder: Path, name: str, behaviour: str, version: str = "") -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{behaviour.format(version=version)}\n")
    file.chmod(0o755)
    return file


def _set_up(folder: Path, *arguments: str) -> str:
    """What it says on standard error before it gives up."""
    done = subprocess.run(
        ["/bin/sh", SCRIPT, folder / "venv", *arguments],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_an_interpreter_that_is_too_old_is_named(tmp_path: Path):
    old = _interpreter(tmp_path, "old", WORKS, "3.10")
    assert _set_up(tmp_path, str(old)) == (f"headframe: PYTHON={old}: found version 3.10, allowed: 3.11, 3.12, 3.13\n")


def test_without_any_suitable_interpreter_the_one_line_says_what_to_do(tmp_path: Path):
    """A pyenv shim of a version that is not selected does not count."""
    _interpreter(tmp_path, "python3", WORKS, "3.14")
    _interpreter(tmp_path, "python3.12", UNSELECTED_SHIM)
    assert _set_up(tmp_path) == (
        "headframe: Python: found python3 of version 3.14, allowed: 3.11, 3.12, 3.13; "
        "install one or say make PYTHON=/path/to/it\n"
    )


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_an_interpreter_without_ensurepip_names_the_package_that_has_it(tmp_path: Path, version: str):
    _interpreter(tmp_path, "python3.11", UNSELECTED_SHIM)
    _interpreter(tmp_path, "python3", LACKS_ENSUREPIP, version)
    assert _set_up(tmp_path) == (
        "headframe: python3: found no ensurepip, allowed: a Python with it "
        f"(Debian, Ubuntu: apt install python{version}-venv)\n"
    )

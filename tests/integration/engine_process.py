"""Runs worker_engine.py, which drives Microsoft's worker engine, as a process."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("worker_engine.py")
MISSING = "azure-functions-runtime is not installed; tests/integration/worker_engine_requirements.txt tells how"


def require_engine() -> None:
    """For the top of a test module: without the engine it skips at home and fails in CI."""
    if importlib.util.find_spec("azure_functions_runtime") is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING, allow_module_level=True)


def run_engine(*arguments: str, given: Any, environment: dict[str, str] | None = None) -> Any:
    """What the program answers. The library warns on standard output too; the answer is the last line."""
    completed = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        input=json.dumps(given),
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.splitlines()[-1])

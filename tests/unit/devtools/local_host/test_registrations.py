"""Reading what an app registers. Each app is read in a process of its own, since the library allows one per process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROGRAM = """
import json, sys
from pathlib import Path
from devtools.local_host.registrations import AppError, index_app
try:
    print(json.dumps([function.registration.to_json() for function in index_app(Path.cwd())]))
except AppError as error:
    print(json.dumps(str(error)))
"""


def index(folder: Path, source: str) -> object:
    (folder / "function_app.py").write_text(source)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def test_bindings_are_read_as_in_function_json(tmp_path: Path):
    (function,) = index(
        tmp_path,
        """
import azure.functions as func

app = func.FunctionApp()

@app.service_bus_queue_trigger(
    arg_name="message", queue_name="%Q%", connection="BUS", data_type=func.DataType.BINARY
)
async def mine(message: func.ServiceBusMessage, context: func.Context) -> None: ...
""",
    )
    assert function["name"] == "mine"
    assert function["parameters"] == ["message", "context"]
    assert function["returns"] is None
    (binding,) = function["bindings"]
    assert (binding["type"], binding["queueName"], binding["dataType"]) == ("serviceBusTrigger", "%Q%", "BINARY")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("app = (\n", "function_app.py:1: SyntaxError: "),
        ("x = 1\n", "expected one module-level name for the FunctionApp, found: none"),
        ("\n\nraise SystemExit('no')\n", "function_app.py:3: SystemExit: no"),
        ("import helper\n", "helper.py:2: ZeroDivisionError: division by zero"),
    ],
)
def test_an_app_that_cannot_be_read_is_one_line_with_place_and_reason(tmp_path: Path, source: str, says: str):
    (tmp_path / "helper.py").write_text("x = 0\ny = 1 / x\n")
    told = index(tmp_path, source)
    assert isinstance(told, str)
    assert says in told
    assert "\n" not in told

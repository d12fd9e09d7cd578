"""What the local host refuses before anything runs, and what it does when the broker goes away."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from tests.integration.local_host_process import ROOT, Emulator, RunningHost, wait_for

pytestmark = pytest.mark.stand_ins

SOURCE = """
import json, os
import azure.functions as func

app = func.FunctionApp()

@app.service_bus_queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="SERVICE_BUS")
async def mine(message: func.ServiceBusMessage) -> None:
    with open(os.environ["EVENTS"], "a") as file:
        file.write(json.dumps(["ran", message.get_body().decode()]) + "\\n")


@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None:
    with open(os.environ["EVENTS"], "a") as file:
        file.write(json.dumps(["tick", None]) + "\\n")
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    folder = tmp_path / "emulator"
    folder.mkdir()
    emulator = Emulator(folder, ("work",)).start()
    yield emulator
    emulator.kill()


@pytest.fixture
def host(tmp_path: Path, emulator: Emulator) -> Iterator[RunningHost]:
    host = RunningHost(tmp_path, {"SERVICE_BUS": emulator.connection_string, "QUEUE": "work"})
    yield host
    host.stop()


def test_a_queue_the_broker_does_not_have_stops_the_start(host, emulator):
    """The line names function, setting and queue; nothing has run and nothing stays."""
    host.settings = dict(host.settings) | {"QUEUE": "no-such-queue"}
    assert host.start(SOURCE).wait() == 2
    line = next(line for line in host.log.splitlines() if line.startswith("error:"))
    assert "function mine" in line
    assert "'no-such-queue' (queueName '%QUEUE%')" in line
    assert "setting SERVICE_BUS" in line
    assert host.events("tick") == []
    assert not host.ready_file.exists()


def test_a_port_in_use_stops_the_start(host):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert host.start(SOURCE, port=port).wait() == 2
    assert f"error: port {port}: Address already in use" in host.log


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import azure.functions\nimport no_such_module\n", "function_app.py:2: ModuleNotFoundError: No module named"),
        (
            SOURCE.replace("%QUEUE%", "%QUEUE_X%"),
            "function mine: queueName '%QUEUE_X%': the setting QUEUE_X is not set",
        ),
    ],
    ids=["import error", "missing setting"],
)
def test_an_app_that_cannot_run_stops_the_start_with_one_line(host, source, says):
    assert host.start(source).wait() == 2
    errors = [line for line in host.log.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "SharedAccessKey" not in host.log


def test_a_folder_without_an_app_is_named(tmp_path):
    command = [sys.executable, "-m", "devtools.local_host", "start", "--script-root", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {tmp_path}/host.json: not found")


async def test_a_broker_that_restarts_is_found_again(host, emulator):
    """One line when it goes, one when it is back, however many attempts lie between; its message is not lost."""
    host.start(SOURCE).ready()
    emulator.kill()
    wait_for(lambda: "is away" in host.log, "the host to notice")
    emulator.start()
    wait_for(lambda: "is there again" in host.log, "the host to reconnect")
    async with (
        ServiceBusClient.from_connection_string(emulator.connection_string) as client,
        client.get_queue_sender("work") as sender,
    ):
        await sender.send_messages(ServiceBusMessage("hello"))
    assert host.wait_for_events("ran") == ["hello"]
    assert host.log.count("is away") == host.log.count("is there again") == 1


def test_a_broker_that_is_away_at_the_start_is_waited_for(host, emulator):
    """Nothing runs before its queues are known to be there; a stop is heard meanwhile."""
    emulator.kill()
    host.start(SOURCE)
    wait_for(lambda: "is away" in host.log, "the host to notice")
    assert host.events("tick") == []
    emulator.start()
    host.ready()
    host.wait_for_events("tick")


def test_a_host_that_waits_for_its_broker_can_be_stopped(host, emulator):
    emulator.kill()
    host.start(SOURCE)
    wait_for(lambda: "is away" in host.log, "the host to notice")
    host.stop()
    assert host.wait() == 0

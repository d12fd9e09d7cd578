"""Runs the local host and a Service Bus emulator as processes, for the tests of the local host."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds to wait for anything, on a machine where other suites run."""

HOST_JSON: dict[str, Any] = {"version": "2.0", "extensionBundle": {"id": "b", "version": "[4.*, 5.0.0)"}}


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)
    return found


def is_running(pid: int) -> bool:
    """False for a zombie as well, where the system shows them."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


@dataclass
class Emulator:
    """A Service Bus emulator with the given queues; its journal survives `kill`."""

    folder: Path
    queues: tuple[str, ...]
    lock: str = "PT30S"
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Emulator":
        properties = {"LockDuration": self.lock, "MaxDeliveryCount": 3}
        queues = [{"Name": name, "Properties": properties} for name in self.queues]
        config = self.folder / "queues.json"
        config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "n", "Queues": queues}]}}))
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "devtools.service_bus_emulator", "--config", str(config)),
                *("--port", str(self.port), "--port-file", str(port_file)),
                *("--journal", str(self.folder / "journal")),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        self.port = int(wait_for(lambda: port_file.exists() and port_file.read_text().strip(), "emulator's port"))
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=x;SharedAccessKey=y;UseDevelopmentEmulator=true;"
        )


@dataclass
class RunningHost:
    """The local host over an app in a folder of its own. `events` are what its functions wrote down."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    host_json: Mapping[str, Any] = field(default_factory=lambda: HOST_JSON)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self, source: str, port: int = 0) -> "RunningHost":
        """Start it without waiting; `ready` waits."""
        (self.folder / "function_app.py").write_text(source)
        (self.folder / "host.json").write_text(json.dumps(self.host_json))
        values = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "none"} | dict(self.settings)
        (self.folder / "local.settings.json").write_text(json.dumps({"Values": values}))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "devtools.local_host", "host", "start", "--port", str(port)),
                    *("--script-root", str(self.folder), "--ready-file", str(self.ready_file), *self.options),
                ],
                cwd=ROOT,
                env={**os.environ, "EVENTS": str(self.folder / "events")},
                stderr=log,
            )
        return self

    @property
    def ready_file(self) -> Path:
        return self.folder / "ready.json"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ready(self) -> dict[str, Any]:
        """The content of its ready file."""
        wait_for(lambda: self.ready_file.exists() or self.has_ended, "ready file")
        assert not self.has_ended, self.log
        content: dict[str, Any] = json.loads(self.ready_file.read_text())
        return content

    @property
    def has_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def events(self, kind: str) -> list[Any]:
        file = self.folder / "events"
        lines = file.read_text().splitlines() if file.exists() else []
        return [value for name, value in map(json.loads, lines) if name == kind]

    def wait_for_events(self, kind: str, count: int = 1) -> list[Any]:
        return wait_for(  # type: ignore[no-any-return]  # wait_for returns what the condition does
            lambda: len(found := self.events(kind)) >= count and found, f"{count} times {kind!r} in:\n{self.log}"
        )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit status."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """For fixtures: leave nothing behind, whatever the test did."""
        if self.process is not None and not self.has_ended:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def request(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and body; a POST when there is a body to send."""
        url = f"http://127.0.0.1:{self.ready()['port']}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

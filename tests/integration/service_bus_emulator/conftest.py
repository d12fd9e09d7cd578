"""The emulator as a process of its own on a free port, and the real SDK against it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusReceiver, ServiceBusSender
from azure.servicebus.aio import ServiceBusClient

ROOT = Path(__file__).parents[3]
START_SECONDS = 30

PLAIN = [f"plain-{number}" for number in range(60)]
WITH_SESSIONS = [f"sessions-{number}" for number in range(20)]
QUEUES: dict[str, dict[str, Any]] = {
    **{name: {"LockDuration": "PT30S", "MaxDeliveryCount": 3} for name in PLAIN},
    **{name: {"LockDuration": "PT30S", "RequiresSession": True} for name in WITH_SESSIONS},
    "brief": {"LockDuration": "PT1S", "MaxDeliveryCount": 10},
    "mortal": {"DefaultMessageTimeToLive": "PT1S", "DeadLetteringOnMessageExpiration": True},
    "unique": {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT1M"},
    "brief-sessions": {"RequiresSession": True, "LockDuration": "PT3S"},
}


class Emulator:
    """One emulator process; `start` again after `kill` is a restart on the same journal."""

    def __init__(self, folder: Path, queues: dict[str, dict[str, Any]], journal: Path | None) -> None:
        self._config = folder / "queues.json"
        entries = [{"Name": name, "Properties": properties} for name, properties in queues.items()]
        self._config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "test", "Queues": entries}]}}))
        self._port_file = folder / "port"
        self._journal = ["--journal", str(journal)] if journal else []
        self.process: subprocess.Popen[str] | None = None
        self.connection_string = ""

    def start(self) -> "Emulator":
        self._port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(self.command(0, self._port_file), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.connection_string = self.process.stdout.readline().strip()
        assert self.connection_string, "the emulator ended instead of starting; its error is above"
        return self

    def command(self, port: int, port_file: Path) -> list[str]:
        options = ["--config", str(self._config), "--port", str(port), "--port-file", str(port_file), *self._journal]
        return [sys.executable, "-m", "devtools.service_bus_emulator", *options]

    @property
    def port(self) -> int:
        return int(self._port_file.read_text())

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(START_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture(scope="session")
def start_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Emulator]]:
    """Start an emulator with the given queues, and a journal if one is named; stopped at the end if still there."""
    started = []

    def start(queues: dict[str, dict[str, Any]], journal: Path | None = None) -> Emulator:
        emulator = Emulator(tmp_path_factory.mktemp("emulator"), queues, journal).start()
        started.append(emulator)
        return emulator

    yield start
    for emulator in started:
        if emulator.process is not None and emulator.process.poll() is None:
            emulator.stop()


@pytest.fixture(scope="session")
def service_bus(start_emulator: Callable[..., Emulator]) -> str:
    """Connection string of an emulator with the queues above."""
    return start_emulator(QUEUES).connection_string


class Bus:
    """The SDK's asyncio client; what it opened is closed at once at the end, as one close takes a second."""

    def __init__(self, client: ServiceBusClient) -> None:
        self.client = client
        self._opened: list[Any] = []

    def sender(self, queue: str) -> ServiceBusSender:
        return self._keep(self.client.get_queue_sender(queue))

    def receiver(self, queue: str, **options: Any) -> ServiceBusReceiver:
        return self._keep(self.client.get_queue_receiver(queue, **options))

    def _keep(self, opened: Any) -> Any:
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        await asyncio.gather(*(opened.close() for opened in self._opened))


@pytest.fixture(scope="module")
def open_bus() -> Callable[[str], AbstractAsyncContextManager[Bus]]:
    @asynccontextmanager
    async def open_one(connection_string: str) -> AsyncIterator[Bus]:
        async with ServiceBusClient.from_connection_string(connection_string, retry_total=0, keep_alive=0) as client:
            bus = Bus(client)
            yield bus
            await bus.close()

    return open_one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bus(service_bus: str, open_bus: Callable[[str], AbstractAsyncContextManager[Bus]]) -> AsyncIterator[Bus]:
    """One client for the tests of a module, which must run in the module's loop."""
    async with open_bus(service_bus) as opened:
        yield opened


@pytest.fixture(scope="session")
def unused_queues() -> Iterator[str]:
    return iter(PLAIN)


@pytest.fixture(scope="session")
def unused_session_queues() -> Iterator[str]:
    return iter(WITH_SESSIONS)


@pytest.fixture
def queue(unused_queues: Iterator[str]) -> str:
    """Name of an empty queue that no other test uses."""
    return next(unused_queues)


@pytest.fixture
def session_queue(unused_session_queues: Iterator[str]) -> str:
    """The same with sessions."""
    return next(unused_session_queues)

"""The whole local stack on one data folder, and every way to hurt it."""

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from devtools.cli import connection
from devtools.cli.mine import BRISK
from devtools.places import QUEUES_FILE
from devtools.stand_ins import azurite, demo_api, local_host, service_bus, stack
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import Ports, is_free
from devtools.stand_ins.server import command_line
from devtools.stand_ins.supervisor import Kind, ensure, stop
from tests.kills.host_log import HostLog
from tests.kills.plan import Member
from tests.waiting import wait_until

WORKERS = 2
PATIENCE = 60.0
BELOW_THOSE_OF_CLIENTS = range(15_000, 32_000)
CLOCK = Path(__file__).parent / "clock"
"""Put on the path of Python, it makes the clocks of workers jump; see sitecustomize.py there."""


def silent(_: str) -> None:
    """Starting and stopping is what this is about; nobody need hear of it."""


@dataclass
class Stack:
    """`output` is a folder, `pipelines` another one, of pipeline files. `offset` is what the workers' clocks read.

    `lock_seconds` is how long the broker locks a message for whoever received it.
    """

    folder: DataFolder
    api_options: tuple[str, ...]
    pipelines: Path
    output: Path
    lock_seconds: int = 30
    _kinds: dict[str, Kind] = field(default_factory=dict)
    _ports: dict[str, Ports] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.host_log = HostLog(self.folder.log(local_host.NAME))

    @property
    def offset(self) -> Path:
        return self.folder.path / "clock_offset"

    @property
    def settings(self) -> dict[str, str]:
        """App settings, once the stand-ins listen."""
        addresses = stack.Addresses(self._ports[azurite.NAME], self._ports[service_bus.NAME])
        return (
            connection.with_keys(addresses, self.folder)
            | BRISK
            | {
                "PIPELINES_DIR": str(self.pipelines),
                "OUTPUT": self.output.as_uri(),
                "FUNCTIONS_WORKER_PROCESS_COUNT": str(WORKERS),
                "PYTHONPATH": str(CLOCK),
                "CLOCK_OFFSET_FILE": str(self.offset),
            }
        )

    @property
    def base_url(self) -> str:
        return demo_api.base_url(self._ports[demo_api.NAME])

    @contextmanager
    def running(self) -> Iterator["Stack"]:
        """Up in the order of needs; everything is stopped at the end."""
        self.output.mkdir(parents=True, exist_ok=True)
        try:
            self._up(stack.demo_api_kind(self.folder, self.api_options))
            self._up(stack.azurite_kind(self.folder, silent))
            self._up(self._broker_kind())
            self._up(self._host_kind())
            with self.host_log.followed():
                yield self
        finally:
            for name in (local_host.NAME, service_bus.NAME, azurite.NAME, demo_api.NAME):
                self.resume(name)
                stop(self.folder, name, silent)

    def _broker_kind(self) -> Kind:
        """The app's own queues, but for the length of their locks."""
        kind, queues = stack.service_bus_kind(self.folder), self.folder.path / "queues.json"
        queues.write_text(QUEUES_FILE.read_text().replace('"PT30S"', f'"PT{self.lock_seconds}S"'))
        ours = {str(QUEUES_FILE): str(queues)}
        return replace(kind, arguments=lambda ports: tuple(ours.get(each, each) for each in kind.arguments(ports)))

    def _host_kind(self) -> Kind:
        """Its log says what it runs."""
        kind = stack.host_kind(self.folder, self.settings)
        return replace(kind, arguments=lambda ports: (*kind.arguments(ports), "--verbose"))

    def run_scheduler(self) -> None:
        local_host.run_function("schedule", self._ports[local_host.NAME])

    def truth(self) -> list[bytes]:
        return demo_api.truth(self._ports[demo_api.NAME])

    def log(self) -> str:
        """What the host and its workers have said since the host was started."""
        return self.folder.log(local_host.NAME).read_text(errors="replace")

    def workers(self) -> list[int]:
        """Process ids; empty while the host is not ready."""
        try:
            found: list[int] = json.loads((self.folder.path / "host.ready").read_text())["workers"]
        except FileNotFoundError:
            return []
        return found

    def hit(self, member: Member, rng: random.Random) -> None:
        """Kill it, and start again what nobody else would: workers are started by their host."""
        match member:
            case Member.WORKER:
                self._wait_for_workers()
                self._kill_workers([rng.choice(self.workers())])
            case Member.WORKERS:
                self._wait_for_workers()
                self._kill_workers(self.workers())
            case Member.HOST:
                workers = self.workers()
                self.kill(local_host.NAME)
                _kill(workers)
                self.host_log.catch_up()
                self.start(local_host.NAME)
            case Member.BROKER:
                self.kill(service_bus.NAME)
                self.start(service_bus.NAME)
            case Member.TABLES:
                stop(self.folder, azurite.NAME, silent)
                self.start(azurite.NAME)

    def _kill_workers(self, pids: list[int]) -> None:
        """Over when the host has said so, and with it what they were running."""
        _kill(pids)
        said = [f"worker {pid} ended" for pid in pids]
        wait_until(lambda: all(each in self.log() for each in said), seconds=PATIENCE)

    def kill(self, name: str) -> None:
        server = self.folder.running(name)
        assert server is not None, f"{name} has ended by itself (see {self.folder.log(name)})"
        _kill([server.pid])

    def stop(self, name: str) -> None:
        """SIGTERM, and wait for its end."""
        stop(self.folder, name, silent)
        self.host_log.catch_up()

    def start(self, name: str) -> None:
        """Again, where it was; the system takes a moment to close what a killed process had open."""
        wait_until(lambda: all(map(is_free, self._ports[name].values())), seconds=PATIENCE)
        self._ports[name] = ensure(self.folder, self._kinds[name], self._ports[name], silent)

    def freeze(self, name: str) -> None:
        """It listens, and answers nobody."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def set_clocks(self, seconds: float) -> None:
        """The clocks of all workers, those still to come as well, are so far ahead from now on."""
        draft = self.offset.with_suffix(".new")
        draft.write_text(str(seconds))
        draft.replace(self.offset)

    def _up(self, kind: Kind) -> None:
        self._kinds[kind.name] = kind
        self._ports[kind.name] = ensure(self.folder, kind, _lasting_ports(kind.services), silent)

    def _signal(self, name: str, number: int) -> None:
        if (server := self.folder.running(name)) is not None:
            os.kill(server.pid, number)

    def _wait_for_workers(self) -> None:
        wait_until(lambda: len(self.workers()) == WORKERS, seconds=PATIENCE)


def _lasting_ports(services: tuple[str, ...]) -> Ports:
    """Free ports that stay free while their server is away.

    The system hands out higher ones to clients, and a client that tries again and again to reach a port that nobody
    listens on would one day be given that very port and be connected with itself.
    """
    free = [port for port in random.sample(BELOW_THOSE_OF_CLIENTS, 200) if is_free(port)]
    return dict(zip(services, free, strict=False))


def _kill(pids: list[int]) -> None:
    for pid in pids:
        if command_line(pid):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(command_line, pids)), seconds=PATIENCE)

"""Sees to it that a server runs on a data folder's state, once: the one still running, or a new one."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import Ports, free_ports, is_free, require_free
from devtools.stand_ins.server import Server
from shared.errors import BadInput

READY_SECONDS = 120.0
ATTEMPTS = 3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of server is run; a `ready_file` is what it writes when it listens."""

    name: str
    title: str
    services: tuple[str, ...]
    arguments: Callable[[Ports], tuple[str, ...]]
    is_ready: Callable[[Ports], bool]
    environ: Mapping[str, str]
    own_session: bool = True
    ready_file: Path | None = None


def ensure(folder: DataFolder, kind: Kind, wanted: Ports | None, say: Say) -> Ports:
    """The ports of a server of this kind: of the one still running, if it is what would be started now."""
    record = folder.recorded().get(kind.name)
    running = folder.running(kind.name)
    if record and running:
        same = record.arguments == kind.arguments(wanted or record.ports)
        if same and _becomes_ready(running, kind, record.ports):
            return record.ports
        running.stop(say)
    if wanted:
        require_free(wanted, kind.title)
        return _start(folder, kind, wanted, say)
    before = record.ports if record and all(map(is_free, record.ports.values())) else None
    return _start_anywhere(folder, kind, before, say)


def _start_anywhere(folder: DataFolder, kind: Kind, before: Ports | None, say: Say) -> Ports:
    """On the ports it had before or on any; another process may take a free port before we do."""
    for attempt in range(1, ATTEMPTS + 1):
        ports = before if before and attempt == 1 else free_ports(kind.services)
        try:
            return _start(folder, kind, ports, say)
        except BadInput:
            if attempt == ATTEMPTS or all(map(is_free, ports.values())):
                raise
    raise AssertionError("the last attempt returns or raises")


def _start(folder: DataFolder, kind: Kind, ports: Ports, say: Say) -> Ports:
    command = folder.command(kind.name, kind.arguments(ports), own_session=kind.own_session)
    folder.record(kind.name, ports, command)
    if kind.ready_file:
        kind.ready_file.unlink(missing_ok=True)
    server = Server.start(kind.name, command, kind.environ)
    if not _becomes_ready(server, kind, ports):
        ended = not server.is_running()
        server.stop(say)
        what = server.last_words() if ended else f"it did not answer within {READY_SECONDS:.0f} s"
        raise BadInput(f"{kind.title} did not start: {what} (see {command.log})")
    return ports


def _becomes_ready(server: Server, kind: Kind, ports: Ports) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while server.is_running() and time.monotonic() < deadline:
        if kind.is_ready(ports):
            return True
        time.sleep(0.05)
    return False


def stop(folder: DataFolder, name: str, say: Say) -> None:
    """Stop the server recorded under this name, if it runs."""
    if server := folder.running(name):
        server.stop(say)

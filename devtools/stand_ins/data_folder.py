"""The folder in which one stack keeps its state, so that a later start finds everything as it was left.

DATA/lock                   held (flock) by the command that uses the folder
DATA/stack.json             commands and ports of the servers, written before each is started
DATA/*.pid, DATA/logs/      written by the servers
DATA/azurite/, DATA/service_bus.sqlite
DATA/credential_keys        made once, readable by the owner only
"""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from cryptography.fernet import Fernet

from devtools.places import CACHE
from devtools.stand_ins.ports import Ports
from devtools.stand_ins.private_file import write_private
from devtools.stand_ins.server import Command, Server
from shared.errors import BadInput

TEMPORARY = CACHE / "temporary"


@dataclass(frozen=True, slots=True)
class Record:
    """What was started last under a name."""

    ports: Ports
    arguments: tuple[str, ...]
    own_session: bool


@dataclass(frozen=True, slots=True)
class DataFolder:
    path: Path

    @staticmethod
    @contextmanager
    def opened(path: Path) -> Iterator["DataFolder"]:
        """The folder, made if need be and locked. Raises BadInput if it cannot be written or is in use."""
        folder = DataFolder(path.resolve())
        with _locked(folder.path):
            yield folder

    def command(self, name: str, arguments: tuple[str, ...], *, own_session: bool) -> Command:
        self.log(name).parent.mkdir(exist_ok=True)
        return Command(arguments, self.path / f"{name}.pid", self.log(name), own_session)

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def recorded(self) -> dict[str, Record]:
        """Empty when nothing was recorded. Raises BadInput for a file that is not ours."""
        file = self.path / "stack.json"
        try:
            found = json.loads(file.read_text())
            return {name: _record(each) for name, each in found.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(f"{file}: found no record of a stack, allowed: what headframe wrote there") from None

    def record(self, name: str, ports: Ports, command: Command) -> None:
        records = self.recorded() | {name: Record(ports, command.arguments, command.own_session)}
        shown = {
            name: {"ports": dict(each.ports), "arguments": each.arguments, "own_session": each.own_session}
            for name, each in records.items()
        }
        write_private(self.path / "stack.json", json.dumps(shown, indent=2) + "\n")

    def running(self, name: str) -> Server | None:
        """The server that was recorded under this name, if it still runs."""
        record = self.recorded().get(name)
        if record is None:
            return None
        return Server.find(name, self.command(name, record.arguments, own_session=record.own_session))

    def stop_all(self, say: Callable[[str], None]) -> None:
        """Stop whatever was left running, what was started last first."""
        for name in reversed(self.recorded()):
            if server := self.running(name):
                server.stop(say)

    def credential_keys(self) -> str:
        """The Fernet key that credentials in this stack are encrypted with; made at first use."""
        file = self.path / "credential_keys"
        if not file.exists():
            write_private(file, Fernet.generate_key().decode())
        return file.read_text().strip()


@contextmanager
def temporary() -> Iterator[DataFolder]:
    """A folder for one call, removed afterwards; so is what killed calls left, their servers included."""
    sweep()
    path = TEMPORARY / secrets.token_hex(6)
    try:
        with DataFolder.opened(path) as folder:
            yield folder
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(parent: Path = TEMPORARY) -> None:
    """Stop the servers of temporary folders that nobody holds any more, and remove these folders."""
    for stack in parent.glob("*/stack.json"):
        try:
            with DataFolder.opened(stack.parent) as folder:
                folder.stop_all(print)
                shutil.rmtree(folder.path, ignore_errors=True)
        except BadInput:
            continue  # in use: somebody's call is running


def _record(found: dict[str, Any]) -> Record:
    return Record(dict(found["ports"]), tuple(found["arguments"]), bool(found["own_session"]))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "lock").open("a+")
    except OSError as error:
        found = f"data directory {path}: found {error.strerror}"
        raise BadInput(f"{found}, allowed: a folder that can be written") from None
    with lock:
        _take(lock, path)
        yield


def _take(lock: TextIO, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        found = f"data directory {path}: found in use by pid {holder}"
        raise BadInput(f"{found}, allowed: one command at a time") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()

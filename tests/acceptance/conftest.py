"""Real API servers. Their folder is named by HEADFRAME_REALAPI; without it these tests skip."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 300
RETRY_AFTER = 3
"""Seconds that the gateway asks for: more than the miner's first back-off, so that it can be told apart."""


class ScriptFailed(Exception):
    """A script of a server's folder ended with an error."""


@dataclass(frozen=True)
class RealServer:
    """A server that runs, in a folder of its own, and what its own oracle lists."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What the scripts of its folder go by."""
        return os.environ | {"PORT": str(self.port)} | self.settings

    @property
    def python(self) -> str:
        """What runs its Python scripts: its own environment, where it installed what they import."""
        own = self.folder / ".venv" / "bin" / "python"
        return str(own) if own.exists() else sys.executable

    def users(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "data" / "users.json").read_text())

    def start(self) -> None:
        """Install it and start it; where that can't be done, the tests that need it skip and say why."""
        start(self.folder, self.port, **self.settings)

    def script(self, *command: str) -> None:
        run(self.folder, self.port, *command, **self.settings)

    def truth(self, *arguments: str) -> list[list[Any]]:
        """Every item as [owner/table, id, content hash], asked anew from the server or its database."""
        self.script(self.python, "oracle.py", *arguments)
        lines = (self.folder / "data" / f"oracle-{arguments[0]}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Gateway:
    """nginx in front of a server: it asks for the users' tokens and throttles each of them."""

    behind: RealServer
    port: int
    log: Path

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def users(self) -> list[dict[str, Any]]:
        return self.behind.users()

    def truth(self, *arguments: str) -> list[list[Any]]:
        return self.behind.truth(*arguments)


@pytest.fixture(scope="session")
def json_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """20 users with 1,538 posts and 1,564 comments in all."""
    server = RealServer(copy_of("json-server", tmp_path_factory.mktemp("realapi")), free_port())
    server.start()
    yield server
    server.script("bash", "start.sh", "stop")


@pytest.fixture
def gateway(json_server: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Four requests a second and user, and two at once; 401 for unknown tokens, 403 for another user's items."""
    folder, port = copy_of("nginx-front", tmp_path_factory.mktemp("realapi")), free_port()
    users = json_server.folder / "data" / "users.json"
    environ = {"USERS_JSON": str(users), "TENANT_ARG": "userId", "RETRY_AFTER": str(RETRY_AFTER)}
    start(folder, port, str(json_server.port), str(port), "4r/s", "2", **environ)
    yield Gateway(json_server, port, folder / "data" / "access.log")
    run(folder, port, "bash", "start.sh", "stop")


@pytest.fixture(scope="session")
def kinto() -> Iterator[RealServer]:
    """20 accounts with a bucket each, 2,781 records in all; in a folder that PostgreSQL's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="realapi-") as place:
        Path(place).chmod(0o755)
        server = RealServer(copy_of("kinto", Path(place)), free_port(), {"PGPORT": str(free_port())})
        try:
            server.start()
            server.script(server.python, "seed.py")
            yield server
        finally:
            server.script("bash", "start.sh", "stop")


@pytest.fixture(scope="session")
def datasette(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """20 users with a database each: 111,975 rows in three tables."""
    server = RealServer(copy_of("datasette", tmp_path_factory.mktemp("realapi")), free_port())
    server.start()
    yield server
    server.script("bash", "start.sh", "stop")


def copy_of(name: str, place: Path) -> Path:
    source = os.environ.get("HEADFRAME_REALAPI")
    if not source:
        pytest.skip("HEADFRAME_REALAPI names no folder of real API servers")
    shutil.copytree(Path(source) / name, place / name, ignore=shutil.ignore_patterns("data"))
    subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)
    return place / name


def start(folder: Path, port: int, *arguments: str, **settings: str) -> None:
    """Install a server and start it; where that can't be done, the tests that need it skip and say why."""
    try:
        run(folder, port, "bash", "start.sh", *arguments, **settings)
    except ScriptFailed as error:
        pytest.skip(f"{folder.name} can't be started here: {error}")


def run(folder: Path, port: int, *command: str, **settings: str) -> None:
    """A script of the server's folder. Raises ScriptFailed with what it said last."""
    environ = os.environ | {"PORT": str(port)} | settings
    with (folder / "script.log").open("a+") as log:
        done = subprocess.run(
            command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT, timeout=START_SECONDS, check=False
        )
        if done.returncode:
            log.seek(0)
            raise ScriptFailed(f"{' '.join(command)} ended with {done.returncode}:\n{log.read()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

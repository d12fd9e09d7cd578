"""Real API servers. Their folder is named by HEADFRAME_REALAPI; without it these tests skip."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 300


@dataclass(frozen=True)
class RealServer:
    """A server that runs, in a folder of its own, and what its own oracle lists."""

    folder: Path
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def users(self) -> list[dict[str, str]]:
        return json.loads((self.folder / "data" / "users.json").read_text())

    def truth(self, *arguments: str) -> list[list[str]]:
        """Every item as [owner/table, id, content hash], asked anew from the server or its database."""
        run(self.folder, self.port, sys.executable, "oracle.py", *arguments)
        lines = (self.folder / "data" / f"oracle-{arguments[0]}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def datasette(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """20 users with a database each: 111,975 rows in three tables."""
    server = RealServer(copy_of("datasette", tmp_path_factory.mktemp("realapi")), free_port())
    run(server.folder, server.port, "bash", "start.sh")
    yield server
    run(server.folder, server.port, "bash", "start.sh", "stop")


def copy_of(name: str, place: Path) -> Path:
    source = os.environ.get("HEADFRAME_REALAPI")
    if not source:
        pytest.skip("HEADFRAME_REALAPI names no folder of real API servers")
    shutil.copytree(Path(source) / name, place / name)
    subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)
    return place / name


def run(folder: Path, port: int, *command: str) -> None:
    """A script of the server's folder; its output is shown only if it fails."""
    environ = os.environ | {"PORT": str(port)}
    with (folder / "script.log").open("a+") as log:
        done = subprocess.run(
            command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT, timeout=START_SECONDS, check=False
        )
        if done.returncode:
            log.seek(0)
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{log.read()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""`headframe mine` with a pipeline file of examples/, and its output in the form that oracles list items in."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HEADFRAME = Path(sys.executable).with_name("headframe")
OURS = {"_user", "_run", "_page", "_mined_at"}
MINE_SECONDS = 600


@dataclass(frozen=True)
class Mining:
    """A call of `headframe mine` that can be repeated."""

    place: Path
    example: str
    users: list[dict[str, Any]]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        return self.place / "output"

    @property
    def data(self) -> Path:
        return self.place / "data"

    def command(self) -> list[str]:
        """Writes what the command reads."""
        pipelines = self.place / "pipelines"
        pipelines.mkdir(exist_ok=True)
        (pipelines / self.example).write_text((ROOT / "examples" / self.example).read_text())
        users = self.place / "users.jsonl"
        users.write_text("".join(json.dumps(user) + "\n" for user in self.users))
        folders = {"--pipelines": pipelines, "--users": users, "--output": self.output, "--data": self.data}
        return [str(HEADFRAME), "mine", "--json", *(str(part) for pair in folders.items() for part in pair)]

    def mine(self) -> dict[str, Any]:
        """The summary, whatever the exit status."""
        command, environ = self.command(), os.environ | self.settings
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=MINE_SECONDS)
        assert done.returncode in {0, 1}, done.stderr
        return json.loads(done.stdout)

    def runs(self) -> list[dict[str, Any]]:
        """What `headframe runs list` says, also while mining."""
        command = [HEADFRAME, "runs", "list", "--json", "--data", self.data]
        return [json.loads(line) for line in subprocess.check_output(command, timeout=MINE_SECONDS).splitlines()]

    def records(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """User, stream and record as the source gave it, of every line of the output."""
        for file in self.output.rglob("*.jsonl"):
            stream = file.relative_to(self.output).parts[1]
            for line in file.read_text().splitlines():
                record = json.loads(line)
                yield record["_user"], stream, {name: value for name, value in record.items() if name not in OURS}


def content_hash(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def assert_exactly(found: Iterable[Iterable[str]], truth: Iterable[Iterable[str]]) -> None:
    """Nothing missing, nothing extra, nothing twice: compared by owner, key and content."""
    have, want = Counter(map(tuple, found)), Counter(map(tuple, truth))
    assert not (want - have), f"{(want - have).total()} missing, such as {next(iter(want - have))}"
    assert not (have - want), f"{(have - want).total()} extra or twice, such as {next(iter(have - want))}"

"""The main job on a server that nobody here wrote, compared with that server's own oracle."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.conftest import RealServer
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
KEYS = {"packages": ["name"], "depends": ["package", "dep"], "tags": ["rowid"]}
OURS = {"_user", "_run", "_page", "_mined_at"}
KILL_AT = (3, 20, 40)
"""Objects in the output, of 57 in all, at which the whole process group is killed."""


def mine_command(server: RealServer, place: Path, page_size: int) -> list[str]:
    users = place / "users.jsonl"
    params = {"base_url": server.base_url, "page_size": page_size}
    lines = [
        json.dumps({"user": user["user"], "credentials": {"token": user["token"]}, "params": params})
        for user in server.users()
    ]
    users.write_text("\n".join(lines) + "\n")
    pipelines = place / "pipelines"
    pipelines.mkdir(exist_ok=True)
    (pipelines / "datasette.yaml").write_text((ROOT / "examples" / "datasette.yaml").read_text())
    options = {"--pipelines": pipelines, "--users": users, "--output": place / "output", "--data": place / "data"}
    headframe = Path(sys.executable).with_name("headframe")
    return [str(headframe), "mine", *(str(part) for option in options.items() for part in option)]


def mined(output: Path) -> list[list[str]]:
    """The output in the oracle's form, checking that every record stands under its owner."""
    items = []
    for file in output.rglob("*.jsonl"):
        table = file.relative_to(output).parts[1]
        for line in file.read_text().splitlines():
            record = json.loads(line)
            row = {name: value for name, value in record.items() if name not in OURS}
            key = "|".join(str(row[column]) for column in KEYS[table])
            content = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
            items.append([f"{record['_user']}/{table}", key, content])
    return items


def kill_on_the_way(command: list[str], output: Path, objects: int) -> None:
    """Start mining and kill its process group when the output has so many objects."""
    process = subprocess.Popen(command, start_new_session=True)
    wait_until(lambda: process.poll() is not None or len(list(output.rglob("*.jsonl"))) >= objects, seconds=300)
    assert process.poll() is None, "mining ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def assert_exactly(found: list[list[str]], truth: list[list[str]]) -> None:
    """Nothing missing, nothing extra, nothing twice: compared by owner, key and content."""
    have, want = Counter(map(tuple, found)), Counter(map(tuple, truth))
    assert not (want - have), f"{(want - have).total()} missing, such as {next(iter(want - have))}"
    assert not (have - want), f"{(have - want).total()} extra or twice, such as {next(iter(have - want))}"


def test_every_row_of_every_user_is_mined_exactly_once(datasette: RealServer, tmp_path: Path):
    """The output equals what the oracle lists, both over the API and straight from the databases."""
    truth = datasette.truth("db")
    assert truth == datasette.truth("api", "1000", "objects")
    subprocess.run(mine_command(datasette, tmp_path, page_size=500), check=True, timeout=600)
    assert_exactly(mined(tmp_path / "output"), truth)


def test_a_mine_that_is_killed_again_and_again_loses_and_doubles_nothing(datasette: RealServer, tmp_path: Path):
    """SIGKILL to the whole process group, several times on the way; the same call then goes on to the end."""
    command = mine_command(datasette, tmp_path, page_size=100)
    output = tmp_path / "output"
    for objects in KILL_AT:
        kill_on_the_way(command, output, objects)
    subprocess.run(command, check=True, timeout=600)
    assert_exactly(mined(output), datasette.truth("db"))

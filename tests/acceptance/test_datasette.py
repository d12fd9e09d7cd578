"""The main job on a server that nobody here wrote, compared with that server's own oracle."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import RealServer
from tests.acceptance.mining import MINE_SECONDS, Mining, assert_exactly, content_hash
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance

KEYS = {"packages": ["name"], "depends": ["package", "dep"], "tags": ["rowid"]}
KILL_AT = (3, 25)
"""Objects in the output, of 57 in all, at which the whole process group is killed."""


def mining(server: RealServer, place: Path, page_size: int) -> Mining:
    params = {"base_url": server.base_url, "page_size": page_size}
    users = [
        {"user": user["user"], "credentials": {"token": user["token"]}, "params": params} for user in server.users()
    ]
    return Mining(place, "datasette.yaml", users)


def mined(job: Mining) -> list[list[str]]:
    """The output in the oracle's form, checking that every record stands under its owner."""
    return [
        [f"{user}/{table}", "|".join(str(row[column]) for column in KEYS[table]), content_hash(row)]
        for user, table, row in job.records()
    ]


def kill_on_the_way(command: list[str], output: Path, objects: int) -> None:
    """Start mining and kill its process group when the output has so many objects."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: process.poll() is not None or len(list(output.rglob("*.jsonl"))) >= objects, seconds=300)
    assert process.poll() is None, "mining ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_every_row_of_every_user_is_mined_exactly_once(datasette: RealServer, tmp_path: Path):
    """The output equals what the oracle lists, both over the API and straight from the databases."""
    truth = datasette.truth("db")
    assert truth == datasette.truth("api", "1000", "objects")
    job = mining(datasette, tmp_path, page_size=500)
    assert job.mine()["exit_status"] == 0
    assert_exactly(mined(job), truth)


def test_a_mine_that_is_killed_again_and_again_loses_and_doubles_nothing(datasette: RealServer, tmp_path: Path):
    """SIGKILL to the whole process group, several times on the way; the same call then goes on to the end."""
    job = mining(datasette, tmp_path, page_size=200)
    command = job.command()
    for objects in KILL_AT:
        kill_on_the_way(command, job.output, objects)
    subprocess.run(command, check=True, timeout=MINE_SECONDS)
    assert_exactly(mined(job), datasette.truth("db"))

"""Changes since the last run, and records that are deleted, on a server with a real database: Kinto over PostgreSQL."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import RealServer
from tests.acceptance.mining import MINE_SECONDS, Mining, assert_exactly, content_hash
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance

PAGE_SIZE = 20
STREAMS = ("orders", "notes")
CHURN_SECONDS, CHANGES_PER_SECOND = 20, 15


def mining(server: RealServer, place: Path, example: str = "kinto.yaml") -> Mining:
    params = {"base_url": f"{server.base_url}/v1", "page_size": PAGE_SIZE}
    users = [
        {
            "user": user["user"],
            "credentials": {"password": user["password"]},
            "params": params | {"bucket": user["bucket"]},
        }
        for user in server.users()
    ]
    return Mining(place, example, users)


def mined(job: Mining) -> list[list[str]]:
    """Every line of the output in the oracle's form."""
    return [[f"b-{user}/{stream}", row["id"], content_hash(row)] for user, stream, row in job.records()]


def latest(job: Mining) -> list[list[str]]:
    """What is there according to the output: of each record the latest version, unless it is deleted."""
    versions: dict[tuple[str, str, str], dict[str, Any]] = {}
    for user, stream, row in job.records():
        key = (user, stream, row["id"])
        if row["last_modified"] > versions.get(key, {"last_modified": 0})["last_modified"]:
            versions[key] = row
    return [
        [f"b-{user}/{stream}", id_, content_hash(row)]
        for (user, stream, id_), row in versions.items()
        if not row.get("deleted")
    ]


@pytest.fixture(scope="module")
def job(kinto: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Mining:
    """Mined once, in full."""
    job = mining(kinto, tmp_path_factory.mktemp("kinto"))
    truth = kinto.truth("db")
    assert truth == kinto.truth("api")
    summary = job.mine()
    assert (summary["exit_status"], summary["runs"]) == (0, {"done": len(STREAMS) * len(job.users)})
    assert_exactly(mined(job), truth)
    return job


def test_every_record_is_mined_exactly_once_and_the_next_run_asks_for_changes_only(kinto: RealServer, job: Mining):
    """Compared by id and content with the database; nothing has changed, so one empty page per stream is all."""
    again = job.mine()
    runs = len(STREAMS) * len(job.users)
    assert (again["exit_status"], again["pages"], again["records"], again["duplicates"]) == (0, runs, 0, 0)
    assert_exactly(mined(job), kinto.truth("db"))


def test_a_chain_brings_the_records_of_whatever_collections_there_are(kinto: RealServer, tmp_path: Path):
    """Each record says of which it is; mined again, nothing comes twice."""
    job = mining(kinto, tmp_path, "kinto_collections.yaml")
    for _ in range(2):
        summary = job.mine()
        assert (summary["exit_status"], summary["runs"]) == (0, {"done": 2 * len(job.users)})
        rows = [(user, row, row.pop("collection")) for user, stream, row in job.records() if stream == "records"]
        found = [[f"b-{user}/{collection}", row["id"], content_hash(row)] for user, row, collection in rows]
        assert_exactly(found, kinto.truth("db"))


def test_what_changes_while_it_is_mined_comes_with_this_run_or_the_next(kinto: RealServer, job: Mining):
    """Records are created, updated and deleted all the time; two runs later the output says what the database says.

    No version of a record is in the output twice.
    """
    churn = [kinto.python, "churn.py", str(CHURN_SECONDS), str(CHANGES_PER_SECOND)]
    with subprocess.Popen(churn, cwd=kinto.folder, env=kinto.environ, stdout=subprocess.DEVNULL) as changes:
        try:
            job.mine()
            job.mine()
            assert changes.wait(CHURN_SECONDS + 60) == 0
        finally:
            changes.kill()
    last = job.mine()
    assert last["exit_status"] == 0
    assert_exactly(latest(job), kinto.truth("db"))
    lines = [tuple(item) for item in mined(job)]
    assert len(lines) == len(set(lines))
    assert any(row.get("deleted") for _, _, row in job.records())


def test_an_outage_of_the_servers_database_is_waited_for(kinto: RealServer, tmp_path: Path):
    """Every answer is a 503 with Retry-After until the database is back; nothing is parked, nothing missing."""
    job = mining(kinto, tmp_path)
    with subprocess.Popen(job.command(), stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: any(job.records()), MINE_SECONDS)
            kinto.script("bash", "start.sh", "pgstop")
            wait_until(lambda: sum(run["retries"] for run in job.runs()) > len(job.users), MINE_SECONDS)
        finally:
            kinto.script("bash", "start.sh", "pgstart")
        summary = json.loads(process.communicate(timeout=MINE_SECONDS)[0])
    assert (summary["exit_status"], summary["parked"]) == (0, [])
    assert_exactly(mined(job), kinto.truth("db"))

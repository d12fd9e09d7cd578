"""Three ways of paging, through a gateway that asks for tokens and throttles: json-server behind nginx."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import RETRY_AFTER, Gateway
from tests.acceptance.mining import Mining, assert_exactly, content_hash

pytestmark = pytest.mark.acceptance

STREAMS = {"posts": "posts", "comments": "comments", "posts_by_offset": "posts"}
"""Stream of the pipeline file, and the collection that it pages through."""

PAGE_SIZE = 40
SMALL_PAGE = 15
LIMIT, LIMIT_SECONDS = 60, 10
"""What examples/json-server-limits.yaml allows all users together."""
LOG_LINE = re.compile(r'\[(?P<at>[^\]]+)\] "GET (?P<url>\S+) [^"]*" (?P<status>\d+) ')


def line_of(gateway: Gateway, user: dict[str, Any]) -> dict[str, Any]:
    params = {"base_url": gateway.base_url, "user_id": user["userId"], "page_size": PAGE_SIZE}
    return {"user": user["user"], "credentials": {"token": user["token"]}, "params": params}


def mined(job: Mining, stream: str) -> list[list[Any]]:
    """What one stream brought, in the oracle's form."""
    return [
        [f"{user}/{STREAMS[stream]}", row["id"], content_hash(row)]
        for user, found, row in job.records()
        if found == stream
    ]


def assert_complete(job: Mining, truth: list[list[Any]], streams: Mapping[str, str] = STREAMS) -> None:
    """Each stream holds its collection exactly, under the right users."""
    for stream, collection in streams.items():
        assert_exactly(mined(job, stream), [item for item in truth if item[0].endswith(f"/{collection}")])


def requests(log: Path) -> list[tuple[str, datetime, int]]:
    """URL, moment and status of every request, as the gateway wrote them down."""
    lines = [LOG_LINE.search(line) for line in log.read_text().splitlines()]
    return [
        (line["url"], datetime.strptime(line["at"], "%d/%b/%Y:%H:%M:%S %z"), int(line["status"]))
        for line in lines
        if line
    ]


def assert_waits_were_kept(found: list[tuple[str, datetime, int]]) -> None:
    """No page that was throttled was asked for again before its Retry-After, and each was asked for again."""
    by_url: dict[str, list[tuple[datetime, int]]] = {}
    for url, at, status in found:
        by_url.setdefault(url, []).append((at, status))
    for url, tries in by_url.items():
        waits = [(after - before).total_seconds() for (before, status), (after, _) in pairwise(tries) if status == 429]
        assert all(wait >= RETRY_AFTER for wait in waits), f"{url}: asked again after {min(waits)} s"
        assert tries[-1][1] != 429, f"{url}: never asked again"


def test_every_item_is_mined_exactly_once_though_the_gateway_throttles(gateway: Gateway, tmp_path: Path):
    """Compared by id and content with what the server's database holds; the access log is the witness of the waits.

    A second run asks again and finds nothing new.
    """
    job = Mining(tmp_path, "json-server.yaml", [line_of(gateway, user) for user in gateway.users()])
    truth = gateway.truth("db")
    summary = job.mine()
    found = requests(gateway.log)
    assert (summary["exit_status"], summary["runs"]) == (0, {"done": len(STREAMS) * len(job.users)})
    assert_complete(job, truth)
    statuses = Counter(status for _, _, status in found)
    assert statuses.keys() == {200, 429}
    assert summary["retries"] == statuses[429] > 0
    assert summary["pages"] == statuses[200]
    assert_waits_were_kept(found)
    again = job.mine()
    assert (again["records"], again["duplicates"]) == (0, summary["records"])
    assert_complete(job, truth)


def test_within_the_limits_of_the_file_the_gateway_never_refuses(gateway: Gateway, tmp_path: Path):
    """Three worker processes keep to one limit of all users and one of each; the access log is the witness."""
    workers = {"FUNCTIONS_WORKER_PROCESS_COUNT": "3"}
    job = Mining(tmp_path, "json-server-limits.yaml", [line_of(gateway, user) for user in gateway.users()], workers)
    job.users[:] = [user | {"params": user["params"] | {"page_size": SMALL_PAGE}} for user in job.users]
    summary = job.mine()
    assert (summary["exit_status"], summary["retries"]) == (0, 0)
    assert_complete(job, gateway.truth("db"), {"posts": "posts"})
    moments = Counter(at for _, at, _ in requests(gateway.log))
    assert {status for _, _, status in requests(gateway.log)} == {200}
    for second in moments:
        within = sum(moments[second + timedelta(seconds=number)] for number in range(LIMIT_SECONDS))
        assert within <= LIMIT, f"{within} requests in {LIMIT_SECONDS} s from {second}"


def test_users_whom_the_gateway_refuses_are_parked_and_disturb_nobody(gateway: Gateway, tmp_path: Path):
    """One has a token that nobody knows, another asks for what belongs to somebody else."""
    ann, ben, *_ = gateway.users()
    welcome = next(user for user in gateway.users() if user["posts"] > PAGE_SIZE)
    unknown = line_of(gateway, ann | {"token": "tok-nobody"})
    foreign = line_of(gateway, ben | {"userId": welcome["userId"]})
    job = Mining(tmp_path, "json-server.yaml", [unknown, foreign, line_of(gateway, welcome)])
    summary = job.mine()
    refused = [(each["user"], each["reason"]) for each in summary["parked"]]
    assert summary["exit_status"] == 1
    assert {user for user, _ in refused} == {ann["user"], ben["user"]}
    assert {reason for _, reason in refused} == {"invalid_credential"}
    assert {user for user, _, _ in job.records()} == {welcome["user"]}
    assert_complete(job, [item for item in gateway.truth("db") if item[0].startswith(f"{welcome['user']}/")])
    statuses = Counter(status for _, _, status in requests(gateway.log))
    assert 1 <= statuses[401] <= len(STREAMS)
    assert 1 <= statuses[403] <= len(STREAMS)

"""What is held when a worker is killed, and when it goes on: read out of what the host says and what is stored."""

from datetime import UTC, datetime, timedelta

from shared.checkpoint import Checkpoint, LoopGuard
from shared.messages import Priority, StreamKey
from tests.kills.plan import Member, blows
from tests.kills.recovery import Recovery, held_by, summary

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = StreamKey("social", "posts", "ann")
LOG = """
12:00:01 ERROR worker 4711 ended (status -9); starting another in 0.5 s
12:00:01 ERROR function mine failed: the worker process ended (message mine/20261122T120000Z-aa/all/3/0)
12:00:01 ERROR function mine_low failed: the worker process ended (message mine/20261122T120000Z-bb/all/12/2)
12:00:01 ERROR function deliver failed: the worker process ended (message deliver/20261122T120000Z-cc/all/3/0)
12:00:01 ERROR function mine failed: StorageUnavailable: away (message mine/20261122T120000Z-dd/all/3/0)
"""


def checkpoint(seq: int, at: datetime) -> Checkpoint:
    started = Checkpoint.begin(KEY, "run", NOON, Priority.NORMAL, index="run")
    for _ in range(seq):
        started = started.committed(at, "cursor", LoopGuard(), records=1, duplicates=0, size=1, indexed=True)
    return started


def test_the_log_of_the_host_names_what_its_workers_held():
    assert held_by(LOG) == {"20261122T120000Z-aa": 3, "20261122T120000Z-bb": 12}


def test_a_run_has_recovered_when_the_page_it_was_at_is_committed():
    recovery = Recovery()
    recovery.hit(Member.WORKER, NOON, {"run": 2})
    recovery.seen([checkpoint(2, NOON - timedelta(seconds=1))])
    assert recovery.seconds == {}
    recovery.seen([checkpoint(3, NOON + timedelta(seconds=7))])
    recovery.seen([checkpoint(4, NOON + timedelta(seconds=9))])
    assert recovery.seconds == {Member.WORKER: [7.0]}


def test_a_run_that_is_hit_again_has_waited_since_the_first_time():
    recovery = Recovery()
    recovery.hit(Member.HOST, NOON, {"run": 0})
    recovery.hit(Member.WORKER, NOON + timedelta(seconds=5), {"run": 0})
    recovery.seen([checkpoint(1, NOON + timedelta(seconds=30))])
    assert recovery.seconds == {Member.HOST: [30.0]}


def test_the_summary_has_median_and_tail():
    assert summary([float(number) for number in range(101)]) == "101 runs, median 50.0 s, p99 99.0 s"
    assert summary([]) == "0 runs"


def test_the_same_seed_deals_the_same_blows_to_every_member_in_the_long_run():
    assert blows(7, 50) == blows(7, 50) != blows(8, 50)
    assert {blow.member for blow in blows(1, 200)} == set(Member)

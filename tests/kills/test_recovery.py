"""What is held when a member is killed, and when it goes on: read out of what host and workers say."""

import json
from pathlib import Path

import pytest

from tests.kills.host_log import HostLog
from tests.kills.plan import Member, blows
from tests.kills.recovery import Line, Strike, advanced, held, recoveries, summary, under_way


def host_says(what: str) -> str:
    return f"12:00:01 host: function {what}"


def begins(run: str, function: str = "mine") -> str:
    return host_says(f"{function} begins (message mine/{run}/all/3/0)")


def ended(run: str, how: str) -> str:
    return host_says(f"mine {how} (message mine/{run}/all/3/0)")


def says(what: str, run: str) -> str:
    return json.dumps({"function": "mine", "what": what, "run": run})


def log(*texts: str) -> list[Line]:
    """A line a second."""
    return [Line(float(number), text) for number, text in enumerate(texts)]


def test_what_has_begun_and_not_ended_is_under_way():
    lines = log(
        begins("a"),
        begins("b", "mine_low"),
        begins("c"),
        ended("a", "succeeded in 12 ms"),
        ended("c", "failed: StorageUnavailable: away"),
        host_says("deliver begins (message deliver/d/all/3/0)"),
    )
    assert under_way(lines) == {"b"}


def test_a_host_that_starts_runs_nothing_yet():
    lines = log(begins("a"), "12:00:02 host: ready: 11 functions, worker 4711", begins("b"))
    assert under_way(lines) == {"b"}


def test_a_killed_worker_held_what_its_host_says_failed_with_it():
    """Not what the other worker was running, and not what ended before or after."""
    worker_ended = "failed: the worker process ended"
    lines = log(begins("a"), begins("b"), begins("c"), ended("c", worker_ended), ended("a", worker_ended), begins("a"))
    assert held(Strike(Member.WORKER, 4.0, begin=4, end=6), lines) == {"a"}


@pytest.mark.parametrize("member", [Member.HOST, Member.BROKER, Member.TABLES])
def test_whatever_is_under_way_is_held_by_what_all_need(member: Member):
    lines = log(begins("a"), begins("b"), ended("a", "succeeded in 12 ms"), begins("c"))
    assert held(Strike(member, 3.0, begin=3, end=4), lines) == {"b"}


def test_recovery_lasts_until_the_next_commit_of_each_run_that_was_held():
    """A run that was about to end has none; what was committed before does not count."""
    before = [begins("a"), begins("b"), begins("c"), says("committed", "a")]
    after = [says("retried", "a"), says("committed", "z"), says("committed", "b"), says("parked", "a")]
    lines = log(*before, *after, says("committed", "a"))
    assert recoveries(Strike(Member.HOST, 3.5, begin=4, end=4), lines) == [2.5, 3.5]


@pytest.mark.parametrize("text", ['{"function": "mine", "what": "comm', '{"function": "deliver", "run": "a"}', "", "x"])
def test_other_lines_tell_of_no_progress(text: str):
    assert advanced(text) is None


def test_the_summary_has_median_and_tail():
    assert summary([float(number) for number in range(101)]) == "101 runs, median 50.0 s, p99 99.0 s, longest 100.0 s"
    assert summary([]) == "0 runs"


def test_the_log_is_read_on_where_a_host_that_starts_has_emptied_it(tmp_path: Path):
    """A line is known once it is whole."""
    file = tmp_path / "host.log"
    followed = HostLog(file)
    assert followed.catch_up() == 0
    file.write_text("first\nsecond\nthi")
    assert followed.catch_up() == 2
    file.write_text("new\n")
    assert followed.catch_up() == 3
    assert [line.text for line in followed.lines] == ["first", "second", "new"]


def test_the_same_seed_deals_the_same_blows_to_every_member():
    assert blows(7, 50) == blows(7, 50) != blows(8, 50)
    assert all({blow.member for blow in blows(seed, 20)} == set(Member) for seed in range(20))

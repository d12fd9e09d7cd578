"""Whatever is killed and whatever is away for a while, the output is what the API has, exactly once."""

import os

import pytest

from tests.kills.programme import Report, kill_test, outage_test

IN_CI = bool(os.environ.get("CI"))
KILLS = 20 if IN_CI else 6
OUTAGE = 4.0
"""Seconds; `make kill-test` has longer ones."""

pytestmark = [pytest.mark.stand_ins, pytest.mark.timeout(600)]


def assert_kept(report: Report) -> None:
    assert report.verdict.clean, "\n".join(report.lines())
    assert report.pages > 100


def test_kills_of_any_member_lose_and_double_nothing():
    report = kill_test(KILLS, seed=1, say=print)
    assert_kept(report)
    assert report.hits.total() == KILLS
    assert sum(map(len, report.recovery.seconds.values())) > 0


def test_outages_of_any_member_lose_and_double_nothing():
    report = outage_test(OUTAGE, seed=2, say=print)
    assert_kept(report)
    assert report.hits.total() >= 5

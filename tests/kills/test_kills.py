"""Whatever is killed and whatever is away for a while, the output is what the API has, exactly once."""

import os

import pytest

from tests.kills.plan import Member
from tests.kills.programme import Report, kill_test, outage_test, recovered, total

IN_CI = bool(os.environ.get("CI"))
KILLS = 20 if IN_CI else 6
LOCK = 5
"""Seconds, the least that Azure allows, so that nobody waits half a minute for a killed host; 30 in production."""

OUTAGE = 4.0
"""Seconds; `make kill-test` has longer ones."""

pytestmark = [pytest.mark.stand_ins, pytest.mark.timeout(600)]


def assert_kept(report: Report) -> None:
    assert report.verdict.clean, "\n".join(report.lines())
    assert report.verdict.comparison.records > 10_000


def test_kills_of_any_member_lose_and_double_nothing():
    """What a killed worker held goes on."""
    reports = kill_test(KILLS, seed=1, lock=LOCK, say=print)
    for report in reports:
        assert_kept(report)
    hits = total(reports)
    assert hits.total() == KILLS
    assert not IN_CI or hits.keys() == set(Member)
    assert any(each.recovery.get(Member.WORKER) for each in reports), recovered(reports)


def test_outages_of_any_member_lose_and_double_nothing():
    report = outage_test(OUTAGE, seed=2, say=print)
    assert_kept(report)
    assert report.hits.total() >= 5

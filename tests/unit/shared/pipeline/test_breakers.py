"""Breakers open for longer each time, and a success closes them."""

from shared.pipeline.breakers import CAP, CLOSED, FIRST

NOON = 1_795_000_000.0


def test_it_opens_for_longer_each_time_but_not_for_ever():
    breaker, now, spans = CLOSED, NOON, []
    for _ in range(12):
        breaker = breaker.opened(now)
        spans.append(breaker.open_until - now)
        now = breaker.open_until + 1
    assert spans[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert spans[-1] == CAP


def test_failures_of_those_who_asked_before_it_opened_change_nothing():
    opened = CLOSED.opened(NOON)
    assert opened.opened(NOON + 1) == opened


def test_whoever_probes_is_not_in_their_own_way():
    probed = CLOSED.opened(NOON).probed("a", NOON + 100)
    assert probed.opens_at(NOON + 50, "a") is None
    assert probed.opens_at(NOON + 50, "b") == NOON + 100
    assert probed.given_up("a").opens_at(NOON + 50, "b") is None
    assert probed.given_up("b") == probed


def test_closed_it_holds_up_nobody():
    assert CLOSED.opens_at(NOON, "a") is None

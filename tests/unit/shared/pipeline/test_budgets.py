"""Budgets: no window ever sees more than its limit, and nearly all of the limit can be used."""

from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pipeline.budgets import COUNTED, SHARES, Answer, Ask, Booked, Budget, Lane, Slot, book, earliest

NOON = 1_795_000_000.0
LANE = Lane("five", 5, 30.0)
OTHER = Lane("two", 2, 300.0)
AT_ONCE = Lane("two at once", 2, None)


def ask(*lanes: Lane, lease: str = "me", quantum: int = 1, **held: tuple[Slot, ...]) -> Ask:
    return Ask(lanes, held, lease, NOON + 60, quantum)


def most_in_a_window(moments: list[float], span: float) -> int:
    ordered = sorted(moments)
    return max((bisect_left(ordered, at + span) - number for number, at in enumerate(ordered)), default=0)


@given(
    most=st.integers(1, 30),
    span=st.sampled_from([1.0, 10.0, 60.0, 3600.0]),
    pauses=st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.999), st.floats(0, 1)), min_size=1, max_size=150),
)
def test_no_window_sees_more_than_its_limit(most: int, span: float, pauses: list[tuple[float, float, float]]):
    """Whenever somebody asks, wherever in its share a request is made, and if it arrives up to a share later."""
    lane, booked, now, arrived = Lane("a", most, span), Booked(), NOON, []
    width = span / SHARES
    for pause, within, delay in pauses:
        now += pause * span
        at = earliest(booked, lane, now)
        booked = book(booked, lane, now)
        end = (booked.newest + 1) * width
        arrived.append(at + within * (end - at) + delay * width * 0.999)
    assert most_in_a_window(arrived, span) <= most


@pytest.mark.parametrize(("most", "span"), [(1, 1.0), (7, 1.0), (100, 60.0), (1000, 86_400.0)])
def test_when_work_is_waiting_nearly_all_of_the_limit_is_used(most: int, span: float):
    lane, booked, spans = Lane("a", most, span), Booked(), 40
    for _ in range(most * spans):
        last = earliest(booked, lane, NOON)
        booked = book(booked, lane, NOON)
    used = (most * (spans - 1)) / ((last - NOON) / span * most)
    assert used >= 0.95


def test_who_waited_for_nothing_may_ask_at_once():
    budget, answer = Budget().asked(ask(LANE), NOON)
    assert answer.at is None
    assert list(answer.slots) == ["five"]
    assert budget.booked["five"].counts == (1,)


def test_who_has_to_wait_is_given_slots_for_a_whole_turn():
    budget = Budget()
    for _ in range(5):
        budget, _ = budget.asked(ask(LANE), NOON)
    _, answer = budget.asked(ask(LANE, quantum=3), NOON)
    assert answer.at == answer.slots["five"][0].start > NOON + LANE.span
    assert len(answer.slots["five"]) == 3


def test_slots_follow_the_order_of_asking():
    budget, starts = Budget(), []
    for _ in range(12):
        budget, answer = budget.asked(ask(LANE), NOON)
        starts.append(answer.at or NOON)
    assert starts == sorted(starts)
    assert starts[:5] == [NOON] * 5
    gaps = [later - earlier for earlier, later in pairwise(starts[5:])]
    assert gaps == [pytest.approx(30 / SHARES * COUNTED / 5)] * 6


def test_turns_of_several_pages_follow_each_other_as_turns():
    """A message that mines three pages finds its slots together, not one every six seconds."""
    budget = Budget()
    for _ in range(5):
        budget, _ = budget.asked(ask(LANE), NOON)
    _, answer = budget.asked(ask(LANE, quantum=3), NOON)
    slots = answer.slots["five"]
    assert slots[-1].start == slots[0].start


def test_a_slot_that_is_held_is_not_booked_again():
    budget, slot = Budget(), Slot(NOON, NOON + 0.5)
    after, answer = budget.asked(ask(LANE, five=(slot,)), NOON)
    assert (answer.at, after.booked) == (None, {})


def test_a_slot_that_is_over_is_booked_anew():
    after, answer = Budget().asked(ask(LANE, five=(Slot(NOON - 2, NOON - 1),)), NOON)
    assert answer.at is None
    assert after.booked["five"].counts == (1,)


def test_nothing_else_is_booked_while_one_limit_makes_wait():
    """What is booked elsewhere meanwhile would be over when its time comes."""
    budget = Budget()
    for _ in range(2):
        budget, _ = budget.asked(ask(OTHER), NOON)
    after, answer = budget.asked(ask(LANE, OTHER), NOON)
    assert list(answer.slots) == ["two"]
    assert "five" not in after.booked


def test_slots_that_are_given_back_are_for_others():
    budget = Budget()
    for _ in range(5):
        budget, answer = budget.asked(ask(LANE), NOON)
    _, before = budget.asked(ask(LANE), NOON)
    _, behind = budget.returned(answer.slots, (LANE,)).asked(ask(LANE), NOON)
    assert (before.at is None, behind.at is None) == (False, True)


def test_giving_back_what_is_long_over_changes_nothing():
    budget, _ = Budget().asked(ask(LANE), NOON)
    assert budget.returned({"five": (Slot(NOON - 9000, NOON - 8999),)}, (LANE,)) == budget


def test_so_many_at_a_time_and_no_more_until_one_is_over():
    budget, _ = Budget().asked(ask(AT_ONCE, lease="a"), NOON)
    budget, _ = budget.asked(ask(AT_ONCE, lease="b"), NOON)
    _, third = budget.asked(ask(AT_ONCE, lease="c"), NOON)
    assert third.at is not None
    assert budget.released("a").asked(ask(AT_ONCE, lease="c"), NOON)[1].at is None


def test_a_request_whose_worker_died_ends_by_itself():
    budget, _ = Budget().asked(ask(Lane("one", 1, None), lease="a"), NOON)
    _, answer = budget.asked(ask(Lane("one", 1, None), lease="b"), NOON + 61)
    assert answer.at is None


def test_a_block_counts_more_than_any_limit_and_the_longest_one_counts():
    budget = Budget().blocked(NOON + 60).blocked(NOON + 20)
    assert budget.asked(ask(LANE), NOON)[1] == Answer(NOON + 60)
    assert budget.asked(ask(), NOON + 61)[1].at is None


def test_an_open_breaker_is_tried_by_one():
    budget = Budget(breaker=Budget().breaker.opened(NOON))
    assert budget.asked(ask(), NOON + 1)[1].at == NOON + 15
    budget, first = budget.asked(ask(lease="a"), NOON + 16)
    assert first.at is None
    assert budget.asked(ask(lease="b"), NOON + 16)[1].at == NOON + 60
    assert budget.asked(ask(lease="a"), NOON + 17)[1].at is None
    assert budget.released("a").asked(ask(lease="b"), NOON + 17)[1].at is None


def test_a_budget_is_the_same_when_it_is_read_again():
    budget = Budget(breaker=Budget().breaker.opened(NOON)).blocked(NOON - 1)
    budget, _ = budget.asked(ask(LANE, AT_ONCE), NOON + 30)
    assert Budget.decode(budget.encode()) == budget
    assert Budget.decode(Budget().encode()) == Budget()

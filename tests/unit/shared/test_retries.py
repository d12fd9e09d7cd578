"""When to try again, and when to give up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ErrorKind
from shared.retries import POLICY, next_wait

AGAIN = sorted(POLICY)
chance = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - set(POLICY)))
def test_what_would_fail_again_is_not_tried_again(kind: ErrorKind):
    assert next_wait(kind, 0, None, lambda: 0.5) is None
    assert next_wait(kind, 0, 30.0, lambda: 0.5) is None


@pytest.mark.parametrize("kind", AGAIN)
def test_it_ends(kind: ErrorKind):
    policy = POLICY[kind]
    assert next_wait(kind, policy.times - 1, None, lambda: 0.5) is not None
    assert next_wait(kind, policy.times, None, lambda: 0.5) is None
    assert next_wait(kind, policy.times, 30.0, lambda: 0.5) is None


@pytest.mark.parametrize("kind", AGAIN)
def test_waits_grow_up_to_a_cap(kind: ErrorKind):
    policy = POLICY[kind]
    waits = [next_wait(kind, failures, None, lambda: 0.999) or 0 for failures in range(policy.times)]
    assert waits == sorted(waits)
    assert waits[0] <= policy.first
    assert waits[-1] <= policy.cap
    assert waits[-1] > waits[0]


@given(st.sampled_from(AGAIN), st.floats(0.001, 21_600), chance)
def test_what_the_source_asks_for_is_never_undercut(kind: ErrorKind, asked: float, random: float):
    wait = next_wait(kind, 0, asked, lambda: random)
    assert wait is not None
    assert asked <= wait <= asked + 1


@given(st.sampled_from(AGAIN), st.integers(0, 5), chance)
def test_back_off_is_never_shorter_than_half(kind: ErrorKind, failures: int, random: float):
    """Jitter keeps users apart without making anybody hurry."""
    policy = POLICY[kind]
    whole = min(policy.cap, policy.first * policy.factor**failures)
    wait = next_wait(kind, failures, None, lambda: random)
    assert wait is not None
    assert whole / 2 <= wait <= whole

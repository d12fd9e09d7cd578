"""Users, streams and lasting trouble of one server."""

import pytest

from devtools.demo_api.catalogue import catalogue
from devtools.demo_api.faults import DEFAULT_FAULTS, Faults


def test_the_default_has_two_expired_users_and_a_looping_one_of_200() -> None:
    """Nobody is both, and the loop has a second page to repeat."""
    made = catalogue(200, seed=7, faults=DEFAULT_FAULTS)
    assert (len(made.expired), len(made.looping)) == (2, 1)
    assert not made.expired & made.looping
    assert all(len(made.streams[user, "posts"]) > 100 for user in made.looping)


def test_the_same_seed_chooses_the_same_users() -> None:
    """The truth of one server holds for another."""
    first, second, other = (catalogue(200, seed, faults=DEFAULT_FAULTS) for seed in (7, 7, 8))
    assert (first.expired, first.looping) == (second.expired, second.looping)
    assert first.expired != other.expired


@pytest.mark.parametrize("users", [1, 2, 3])
def test_one_user_is_always_well(users: int) -> None:
    """However few there are."""
    made = catalogue(users, seed=7, faults=Faults(expired_users=5, looping_users=5))
    assert [made.outcome(user) for user in made.tokens.values()].count("complete") == 1


def test_an_outcome_says_how_the_mining_has_to_end() -> None:
    """One word for each user."""
    made = catalogue(10, seed=7, faults=Faults(expired_users=1, looping_users=2))
    outcomes = sorted(made.outcome(user) for user in made.tokens.values())
    assert outcomes == ["complete"] * 7 + ["credential"] + ["cursor_loop"] * 2

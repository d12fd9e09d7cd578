"""Who may call the demo API."""

import json

from devtools.demo_api.users import token_of, user_lines, user_names


def test_a_users_line_is_what_headframe_mine_reads() -> None:
    """Exactly user, credentials and params."""
    line = next(user_lines(3, seed=7))
    assert line == json.dumps({"user": "u001", "credentials": {"token": token_of("u001", 7)}, "params": {}})


def test_every_user_has_a_token_of_their_own() -> None:
    """No two users share one, and no two seeds either."""
    tokens = {token_of(user, seed) for user in user_names(200) for seed in (7, 8)}
    assert len(tokens) == 400


def test_the_same_seed_gives_the_same_users() -> None:
    """The file can be written before the server starts, and by another process."""
    assert list(user_lines(20, seed=7)) == list(user_lines(20, seed=7))

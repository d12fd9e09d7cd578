"""The users of the demo API: their names, their tokens, and the file `headframe mine --users` reads."""

import hashlib
import json
from collections.abc import Iterator


def user_names(count: int) -> list[str]:
    """`u001`, `u002`, … as many as asked for."""
    return [f"u{number:03d}" for number in range(1, count + 1)]


def token_of(user: str, seed: int) -> str:
    """The user's bearer token. All begin with `EAAdemo`, so that a leaked one is found by a plain search."""
    return "EAAdemo" + hashlib.blake2b(f"{seed}:{user}".encode(), digest_size=20).hexdigest()


def user_lines(count: int, seed: int) -> Iterator[str]:
    """One JSON line per user, as `headframe mine --users FILE` reads them. Holds credentials."""
    for user in user_names(count):
        yield json.dumps({"user": user, "credentials": {"token": token_of(user, seed)}, "params": {}})

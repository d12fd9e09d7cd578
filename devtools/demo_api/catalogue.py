"""Everything one server has: the users, their tokens, their streams, and the users with a lasting trouble."""

import random
from dataclasses import dataclass, field

from devtools.demo_api.faults import NO_FAULTS, Faults
from devtools.demo_api.records import STREAMS
from devtools.demo_api.streams import Stream, sizes
from devtools.demo_api.users import token_of, user_names

PAGE_RECORDS = 100  # records on a page at the largest limit


@dataclass
class Catalogue:
    """All streams of all users by (user, stream name). Reproducible from the arguments of `catalogue`."""

    tokens: dict[str, str]  # token → user
    streams: dict[tuple[str, str], Stream]
    expired: frozenset[str] = field(default_factory=frozenset)
    looping: frozenset[str] = field(default_factory=frozenset)

    def records(self) -> int:
        """How many records there are."""
        return sum(len(stream) for stream in self.streams.values())

    def pages(self) -> int:
        """How many answers it takes to read everything with limit=100; an empty stream takes one."""
        return sum(max(1, -(-len(stream) // PAGE_RECORDS)) for stream in self.streams.values())

    def outcome(self, user: str) -> str:
        """How the mining of this user has to end: `complete`, `credential` or `cursor_loop`."""
        if user in self.expired:
            return "credential"
        return "cursor_loop" if user in self.looping else "complete"


def catalogue(users: int, seed: int, scale: float = 1.0, faults: Faults = NO_FAULTS) -> Catalogue:
    """Make the users, their streams, and choose those in trouble; at least one user is always well."""
    names = user_names(users)
    keys = [(user, stream) for user in names for stream in STREAMS]
    drawn = sizes(len(keys), seed, scale)
    made = Catalogue(
        tokens={token_of(user, seed): user for user in names},
        streams={key: Stream(*key, size, seed) for key, size in zip(keys, drawn, strict=True)},
    )
    random.Random(f"{seed}:trouble").shuffle(names)
    made.expired = frozenset(names[1:][: faults.expired_users])
    rest = [user for user in names[1:] if user not in made.expired]
    rest.sort(key=lambda user: not _has_two_pages(made, user))
    made.looping = frozenset(rest[: faults.looping_users])
    return made


def _has_two_pages(made: Catalogue, user: str) -> bool:
    return all(len(made.streams[user, stream]) > PAGE_RECORDS for stream in STREAMS)

"""Who is killed, and when: all out of one seed. Pure."""

import random
from dataclasses import dataclass
from enum import StrEnum


class Member(StrEnum):
    """A part of the local stack.

    Table storage is stopped in an orderly way instead of being killed: the stand-in writes to disk every few seconds,
    the real one before it answers.
    """

    WORKER = "one worker"
    WORKERS = "all workers"
    HOST = "the host with its workers"
    BROKER = "the broker"
    TABLES = "table storage"


DECK = (
    *(8 * [Member.WORKER]),
    *(4 * [Member.WORKERS]),
    *(2 * [Member.HOST]),
    *(5 * [Member.BROKER]),
    Member.TABLES,
)
"""Of twenty blows so many hit each."""

FEWEST, MOST = 3, 30


@dataclass(frozen=True)
class Blow:
    """`member` is hit when so many more pages have been committed since the last blow."""

    member: Member
    pages: int


def blows(seed: int, count: int) -> list[Blow]:
    """The deck, shuffled anew each time it is through."""
    rng = random.Random(seed)
    members: list[Member] = []
    while len(members) < count:
        members += rng.sample(DECK, len(DECK))
    return [Blow(member, rng.randrange(FEWEST, MOST)) for member in members[:count]]

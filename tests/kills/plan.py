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


WEIGHTS = {Member.WORKER: 8, Member.WORKERS: 4, Member.HOST: 2, Member.BROKER: 5, Member.TABLES: 1}


@dataclass(frozen=True)
class Blow:
    """`member` is hit when so many more pages have been committed since the last blow."""

    member: Member
    pages: int


def blows(seed: int, count: int) -> list[Blow]:
    rng = random.Random(seed)
    members = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [Blow(member, rng.randrange(3, 40)) for member in members]

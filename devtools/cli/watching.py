"""How far the runs of a set of streams and users are, seen from the tables."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from shared.chains import FOLLOWED, run_after
from shared.checkpoint import Checkpoint, RunState
from shared.messages import StreamKey
from shared.services import Services

AT_ONCE = 16
MOST_ASKED = 500
"""Ended runs of which one look asks whether all of them is in the output, one call each."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`pages`, `records` and `retries` are those of the runs looked at; `finished` says that nothing is left."""

    users: int
    users_done: int = 0
    runs_open: int = 0
    pages: int = 0
    records: int = 0
    retries: int = 0
    parked: int = 0
    undelivered: int = 0
    finished: bool = False


class Watch:
    """Looks again and again; what was seen delivered is not looked for again."""

    def __init__(self, services: Services, keys: Collection[StreamKey], tick: datetime):
        self._services = services
        self._keys = frozenset(keys)
        self._streams = {(key.pipeline, key.stream) for key in keys if not self._is_fed(key)}
        self._users = {key.user for key in keys}
        self._tick = tick
        self._delivered: set[tuple[StreamKey, str, int]] = set()
        self._first = 0

    def _is_fed(self, key: StreamKey) -> bool:
        pipeline = self._services.pipelines.get(key.pipeline)
        stream = pipeline.stream(key.stream) if pipeline else None
        return stream is not None and stream.parent is not None

    def requested(self) -> list[tuple[str, str]]:
        """Pipelines and streams whose runs are asked for; those of others follow them."""
        return sorted(self._streams)

    async def look(self) -> Progress:
        """Raises StorageError."""
        started = await self._all_started()
        checkpoints = await self.checkpoints()
        started = started and self._all_followed(checkpoints)
        ended = [each for each in checkpoints if not each.is_open]
        waiting = await self._undelivered(ended)
        unfinished = {each.key.user for each in checkpoints if each.is_open} | {key.user for key in waiting}
        runs_open = len(checkpoints) - len(ended)
        return Progress(
            users=len(self._users),
            users_done=len(self._users - unfinished) if started else 0,
            runs_open=runs_open,
            pages=sum(each.next_seq for each in checkpoints),
            records=sum(each.records for each in checkpoints),
            retries=sum(each.retries for each in checkpoints),
            parked=sum(each.state is RunState.PARKED for each in checkpoints),
            undelivered=len(waiting),
            finished=started and not runs_open and not waiting,
        )

    async def checkpoints(self) -> list[Checkpoint]:
        return [each for each in await self._services.checkpoints.all() if each.key in self._keys]

    async def _all_started(self) -> bool:
        """Whether the scheduler has gone through all users for the moment that was asked for."""
        schedules = [await self._services.schedules.read(*stream) for stream in self._streams]
        return all(each.finished and each.tick is not None and each.tick >= self._tick for each in schedules)

    def _all_followed(self, checkpoints: list[Checkpoint]) -> bool:
        """Whether the runs that follow the ended ones have begun, as far as they are looked at."""
        runs = {each.key: each.run for each in checkpoints}
        followers = [
            (run_after(each.run, key), key)
            for each in checkpoints
            if each.state in FOLLOWED and each.key.pipeline in self._services.pipelines
            for child in self._services.pipelines[each.key.pipeline].children(each.key.stream)
            if (key := replace(each.key, stream=child.name)) in self._keys
        ]
        return all(runs.get(key, "") >= run for run, key in followers)

    async def _undelivered(self, ended: list[Checkpoint]) -> list[StreamKey]:
        """Ended runs with committed pages that are not in the output yet, or of which that is not known; each look
        goes on asking where the last one ended."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def waits(checkpoint: Checkpoint) -> bool:
            async with gate:
                return await self._services.checkpoints.has_pages(checkpoint.key)

        unsure = [each for each in ended if _pages_of(each) not in self._delivered]
        self._first = self._first % len(unsure) if unsure else 0
        asked = (unsure[self._first :] + unsure[: self._first])[:MOST_ASKED]
        self._first += len(asked)
        answers = await asyncio.gather(*map(waits, asked))
        self._delivered |= {_pages_of(each) for each, waiting in zip(asked, answers, strict=True) if not waiting}
        return [each.key for each in unsure if _pages_of(each) not in self._delivered]


def _pages_of(run: Checkpoint) -> tuple[StreamKey, str, int]:
    """One value for the pages that a run has: one that was parked may have more of them later."""
    return run.key, run.run, run.next_seq

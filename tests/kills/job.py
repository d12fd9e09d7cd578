"""The work that goes on while members of the stack are killed: rounds of runs for all users of the demo API."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from devtools.cli import connection
from devtools.cli.demo import PIPELINE, Verdict, judge
from devtools.cli.summary import summarise
from devtools.cli.watching import Progress, Watch
from devtools.demo_api.users import user_lines
from shared.checkpoint import Checkpoint
from shared.errors import StorageError
from shared.messages import StreamKey
from shared.pipeline.loader import load_folder
from shared.services import Services
from shared.users import User
from tests.kills.stack import Stack

PATIENCE = 420.0
"""Seconds in which a round must end, whatever has been done to it."""

LOOK_EVERY = 0.5
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class Job:
    stack: Stack
    services: Services
    keys: list[StreamKey]
    rounds: int = 0
    latest: dict[StreamKey, Checkpoint] = field(default_factory=dict)
    pages: int = 0
    """Committed, over all rounds, as far as they were seen."""

    _watch: Watch | None = None
    _tick: datetime = LONG_AGO

    async def begin_round(self) -> None:
        """Ask for a run of every stream and user. Raises StorageError."""
        self._tick = max(datetime.now(UTC).replace(microsecond=0), self._tick + timedelta(seconds=1))
        for name, stream in sorted({(key.pipeline, key.stream) for key in self.keys}):
            await self.services.schedules.request(name, stream, self._tick)
        self._watch = Watch(self.services, self.keys, self._tick)
        self.rounds += 1
        self.stack.run_scheduler()

    async def until(self, condition: Callable[[Progress], bool], seconds: float = PATIENCE) -> bool:
        """Look again and again until the condition holds; False where it does not within so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            progress = await self.look()
            if progress is not None and condition(progress):
                return True
            await asyncio.sleep(LOOK_EVERY)
        return False

    async def watch_for(self, seconds: float) -> None:
        """Let so much time pass, and see what happens in it."""
        await self.until(lambda progress: False, seconds)

    async def look(self) -> Progress | None:
        """None while table storage is away."""
        assert self._watch is not None, "no round has begun"
        try:
            progress = await self._watch.look()
            checkpoints = await self._watch.checkpoints()
        except StorageError:
            return None
        for checkpoint in checkpoints:
            before = self.latest.get(checkpoint.key)
            same_run = before is not None and before.run == checkpoint.run
            self.pages += checkpoint.next_seq - (before.next_seq if before is not None and same_run else 0)
            self.latest[checkpoint.key] = checkpoint
        return progress

    async def finish(self) -> None:
        """Until every run has ended and is delivered."""
        assert await self.until(lambda progress: progress.finished), f"not finished within {PATIENCE:.0f} s"

    def verdict(self) -> Verdict:
        """The output against the API's own truth, and how each user's runs ended."""
        ended = summarise(
            self.latest.values(),
            [],
            [],
            output=str(self.stack.output),
            users=len({key.user for key in self.keys}),
            seconds=0,
            new_pages=0,
            resumed=False,
        )
        return judge(self.stack.truth(), ended)


@asynccontextmanager
async def job_of(stack: Stack, users: int, seed: int) -> AsyncIterator[Job]:
    """All users of the demo API are put in."""
    lines = list(map(json.loads, user_lines(users, seed)))
    pipelines = load_folder(stack.pipelines)
    async with connection.services(stack.settings, pipelines) as services:
        for line in lines:
            await services.users.put(User(line["user"], line["credentials"], {"base_url": stack.base_url}))
        keys = [
            StreamKey(name, stream.name, line["user"])
            for line in lines
            for name, pipeline in pipelines.items()
            for stream in pipeline.streams
        ]
        yield Job(stack, services, keys)


def lay_pipelines(stack: Stack) -> None:
    stack.pipelines.mkdir()
    shutil.copy(PIPELINE, stack.pipelines)

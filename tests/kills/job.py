"""The work that goes on while members of the stack are killed: a run of every stream for all users of the demo API."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

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
"""Seconds in which all runs must end, whatever has been done to them."""

LOOK_EVERY = 0.5


@dataclass
class Job:
    stack: Stack
    services: Services
    keys: list[StreamKey]
    latest: dict[StreamKey, Checkpoint] = field(default_factory=dict)
    pages: int = 0
    """Committed, as far as they were seen."""

    _watch: Watch | None = None

    async def begin(self) -> None:
        """Ask for a run of every stream and user. Raises StorageError."""
        tick = datetime.now(UTC).replace(microsecond=0)
        for name, stream in sorted({(key.pipeline, key.stream) for key in self.keys}):
            await self.services.schedules.request(name, stream, tick)
        self._watch = Watch(self.services, self.keys, tick)
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
        assert self._watch is not None, "nothing has begun"
        try:
            progress = await self._watch.look()
            checkpoints = await self._watch.checkpoints()
        except StorageError:
            return None
        self.latest |= {each.key: each for each in checkpoints}
        self.pages = sum(each.next_seq for each in self.latest.values())
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

"""`headframe mine`: the main job for anybody's API, on this machine.

users into their table, a run asked for per stream, the host started, then watched until every run has ended
and every page is in the output. Killed anywhere, the same call goes on from there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from devtools.cli import connection, session
from devtools.cli.progress import Display
from devtools.cli.queue_depth import QueueDepth, queue_depth
from devtools.cli.summary import Summary, Unmined, summarise
from devtools.cli.users_file import UsersFile
from devtools.cli.watching import Progress, Watch
from devtools.stand_ins import local_host, stack
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import Ports
from shared.errors import BadInput, HeadframeError, StorageUnavailable
from shared.messages import StreamKey
from shared.pipeline.spec import Pipeline
from shared.services import Services
from shared.users import User

AT_ONCE = 16
LOOKING_SHARE = 0.1
"""Part of the time that may be spent on looking how far things are, which costs the stand-ins too."""

SHORTEST_REST, LONGEST_REST = 0.5, 5.0
"""Seconds between two looks; somebody waits for the end."""

BRISK = {
    "SCHEDULES": "requested",
    "SCHEDULE_CRON": "*/10 * * * * *",
    "RECONCILE_CRON": "*/30 * * * * *",
    "RECONCILE_AFTER_SECONDS": "60",
}
"""On one machine nobody waits a minute for a timer."""


class StackBroke(HeadframeError):
    """A part of the local stack ended while it was needed; what was mined is kept in the data directory."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to mine. `users` None: those that the data directory has."""

    pipelines_dir: Path
    pipelines: dict[str, Pipeline]
    users: UsersFile | None
    output: Path

    def keys(self, users: Iterable[User]) -> list[StreamKey]:
        return [
            StreamKey(name, stream.name, user.id)
            for user in users
            for name, pipeline in self.pipelines.items()
            for stream in pipeline.streams
        ]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a job runs."""

    folder: DataFolder
    addresses: stack.Addresses
    display: Display

    @property
    def session_file(self) -> Path:
        return self.folder.path / "mine.json"


def mine(job: Job, folder: DataFolder, display: Display) -> Summary:
    """Mine everything once. Raises BadInput before anything is started, StackBroke when a part of the stack ends."""
    require_output(job, folder)
    with stack.stand_ins(folder, display.say) as addresses:
        return asyncio.run(_mine(job, Stage(folder, addresses, display)))


def require_output(job: Job, folder: DataFolder) -> None:
    """Records of an earlier call would stand there twice unless its data directory, which knows them, is used."""
    try:
        job.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--output {job.output}: found {error.strerror}, allowed: a folder") from None
    known = session.read(folder.path / "mine.json") is not None
    for name in job.pipelines:
        if not known and any(found.is_file() for found in (job.output / name).rglob("[!.]*")):
            raise BadInput(
                f"--output {job.output}: found records of pipeline {name}, allowed: a folder without them, "
                "or --data DIR of the call that wrote them"
            )


async def _mine(job: Job, stage: Stage) -> Summary:
    settings = connection.with_keys(stage.addresses, stage.folder) | BRISK
    settings |= {"PIPELINES_DIR": str(job.pipelines_dir.resolve()), "OUTPUT": job.output.resolve().as_uri()}
    async with connection.services(settings, job.pipelines) as services:
        users = await _settle_users(job, services)
        keys = job.keys(users)
        current = session.begin(stage.session_file, keys, services.now())
        watch = Watch(services, keys, current.tick)
        before = {(each.key, each.run): each.next_seq for each in await watch.checkpoints()}
        for name, stream in watch.requested():
            await services.schedules.request(name, stream, current.tick)
        with stack.host(stage.folder, settings, stage.display.say) as ports:
            started = time.monotonic()
            await _watch(watch, stage, services, ports)
            seconds = time.monotonic() - started
        runs = await watch.checkpoints()
        session.write(stage.session_file, current.as_ended())
        return summarise(
            runs,
            [letter async for letter in services.parked.all() if not letter.run],
            await _skipped(job, {each.key for each in runs}, services),
            output=str(job.output),
            users=len(users),
            seconds=seconds,
            new_pages=sum(each.next_seq - before.get((each.key, each.run), 0) for each in runs),
            resumed=current.resumed,
        )


async def _settle_users(job: Job, services: Services) -> list[User]:
    """The users' table holds those of the file and nobody else; without a file, those it has."""
    if job.users is None:
        users = [user async for user in services.users.all()]
        if not users:
            raise BadInput("--users: found none, nor any in the data directory, allowed: a file of users")
        return users
    await _put(job.users.users.values(), services)
    strangers = [user.id async for user in services.users.all() if user.id not in job.users.users]
    for stranger in strangers:
        await services.users.remove(stranger)
        await services.tokens.forget(stranger)
    return list(job.users.users.values())


async def _put(users: Iterable[User], services: Services) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def put(user: User) -> None:
        async with gate:
            await services.users.put(user)

    await asyncio.gather(*map(put, users))


async def _skipped(job: Job, mined: set[StreamKey], services: Services) -> list[Unmined]:
    """Streams of users who could not be started at all, with the reason."""
    now = services.now()
    return [
        Unmined(key.pipeline, key.stream, key.user, reason)
        async for user in services.users.all()
        for pipeline in job.pipelines.values()
        if (reason := user.why_not(pipeline.pipeline, pipeline.credentials, now))
        for stream in pipeline.streams
        if (key := StreamKey(pipeline.pipeline, stream.name, user.id)) not in mined
    ]


async def _watch(watch: Watch, stage: Stage, services: Services, ports: Ports) -> None:
    """Returns when every run has ended and everything is delivered."""
    local_host.run_function("schedule", ports)
    settings = services.settings
    queues = (settings.queue_mine_high, settings.queue_mine, settings.queue_mine_low, settings.queue_deliver)
    async for progress in _looks(watch, stage):
        depth: QueueDepth | None = await asyncio.to_thread(queue_depth, stage.addresses.bus, queues)
        stage.display.show(progress, depth)


async def _looks(watch: Watch, stage: Stage) -> AsyncIterator[Progress]:
    """The progress again and again, the last one being `finished`. Raises StackBroke."""
    while True:
        began = time.monotonic()
        try:
            progress = await watch.look()
        except StorageUnavailable as error:
            stage.display.say(f"waiting for storage: {error}")
        else:
            yield progress
            if progress.finished:
                return
        _require_stack(stage.folder)
        await asyncio.sleep(rest_after(time.monotonic() - began))


def rest_after(looked: float) -> float:
    """Seconds until the next look, after one of so many."""
    return min(max(SHORTEST_REST, looked / LOOKING_SHARE), LONGEST_REST)


def _require_stack(folder: DataFolder) -> None:
    for name in folder.recorded():
        if folder.running(name) is None:
            raise StackBroke(f"{name} has ended (see {folder.log(name)}); --data DIR keeps what was mined")

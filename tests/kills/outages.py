"""What happens to a stack besides being killed: each lasts some seconds while runs go on, and then it is over."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devtools.stand_ins import azurite, demo_api, local_host, service_bus
from tests.kills.job import Job
from tests.kills.recovery import BEGINS, under_way

ROOM, ROOM_LEFT = 2**32, 2**18
"""Bytes on the output's disk, and bytes that are free on it when it is about to be full."""

NO_ROOM = "No space left on device"
STEPS = (10, -10, 4)
"""Where the workers' clocks jump to, in lengths of the outage: for 30 seconds, five minutes ahead and behind."""


async def broker_away(job: Job, seconds: float) -> None:
    """Killed, and started again when the time is over."""
    job.stack.kill(service_bus.NAME)
    await job.watch_for(seconds)
    await asyncio.to_thread(job.stack.start, service_bus.NAME)


async def tables_away(job: Job, seconds: float) -> None:
    """Connections are refused."""
    await asyncio.to_thread(job.stack.stop, azurite.NAME)
    await job.watch_for(seconds)
    await asyncio.to_thread(job.stack.start, azurite.NAME)


async def api_away(job: Job, seconds: float) -> None:
    """It accepts connections and says nothing, twice as long as the others are away."""
    job.stack.freeze(demo_api.NAME)
    await job.watch_for(2 * seconds)
    job.stack.resume(demo_api.NAME)


async def host_drained(job: Job, seconds: float) -> None:
    """SIGTERM in the middle of pages: what runs ends."""
    await asyncio.to_thread(job.stack.stop, local_host.NAME)
    lines = job.stack.host_log.lines
    assert any(BEGINS.search(line.text) for line in lines), "the host does not say what it runs"
    assert under_way(lines) == set()
    assert "function mine failed" not in job.stack.log().partition("stopping;")[2]
    await job.watch_for(seconds)
    await asyncio.to_thread(job.stack.start, local_host.NAME)


async def clocks_jump(job: Job, seconds: float) -> None:
    """Far ahead, far behind, and ahead again."""
    for step in STEPS:
        job.stack.set_clocks(step * seconds)
        assert step < 0 or await _is_seen(job, step * seconds / 2), "no worker's clock has jumped"
        await job.watch_for(seconds)
    job.stack.set_clocks(0)


async def _is_seen(job: Job, ahead: float) -> bool:
    """Whether a checkpoint says that it was written so many seconds in the future, or will soon."""

    def seen(_: object) -> bool:
        then = datetime.now(UTC) + timedelta(seconds=ahead)
        return any(each.updated_at is not None and each.updated_at > then for each in job.latest.values())

    return await job.until(seen)


async def disk_full(job: Job, seconds: float) -> None:
    """The output's file system has no room left: mining goes on, delivery waits, and nobody sees half an object.

    It lasts until a delivery has met it.
    """
    disk = os.statvfs(job.stack.output)
    _resize(job.stack.output, (disk.f_blocks - disk.f_bfree) * disk.f_frsize + ROOM_LEFT)
    assert await job.until(lambda progress: NO_ROOM in job.stack.log()), "no delivery has met the full disk"
    pages = job.pages
    await job.watch_for(seconds)
    assert job.pages > pages, "mining has stopped"
    _resize(job.stack.output, ROOM)


def _resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


Outage = Callable[[Job, float], Awaitable[None]]

OUTAGES: dict[str, Outage] = {
    "the disk is full": disk_full,
    "the broker is away": broker_away,
    "table storage is away": tables_away,
    "the API is away": api_away,
    "the host is drained and started again": host_drained,
    "clocks jump": clocks_jump,
}


@contextmanager
def own_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own for the output; False where this machine lets nobody mount one."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)

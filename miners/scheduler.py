"""The scheduler: who is due now? Each due user gets a run: index row, checkpoint, first wake-up, in this order.

Which moments are due is remembered per stream, not per user, so a tick costs one read per stream until a new moment
comes; then all users are gone through, a portion at a time, and the place is kept. Run ids are made from the moment,
so going through a portion twice starts nothing twice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from croniter import croniter

from miners.hours import may_begin, turn_of
from shared.adapters.open_run_table import OpenRun
from shared.adapters.schedule_table import Schedule
from shared.adapters.service_bus import Outgoing
from shared.chains import following
from shared.checkpoint import DUE, Checkpoint, Extent, RunState
from shared.errors import AlreadyExists, Conflict
from shared.messages import StreamKey
from shared.outcome import Outcome
from shared.pipeline.slices import plan_of
from shared.pipeline.spec import Pipeline, Stream
from shared.pipeline.watermarks import Span, span_of
from shared.runs import current_wake_up, resume
from shared.services import Services
from shared.users import User

PORTION = 50
AT_ONCE = 16
TIME_BOX = timedelta(minutes=4)

CURED_BY_TIME = frozenset({"temporary", "rate_limited", "malformed"})
CURED_BY_USER = frozenset(
    {
        "user_paused",
        "user_unknown",
        "credential_missing",
        "credential_unreadable",
        "credential_expired",
        "invalid_credential",
    }
)
"""Reasons of parked runs that go on when they are due again and the user can be mined."""

TICK = "%Y%m%dT%H%M%SZ"
"""How a run's id begins."""

T = TypeVar("T")


async def schedule(services: Services) -> Outcome:
    """Start every run that is due. What the time box leaves over, the next tick goes on with."""
    deadline = services.now() + TIME_BOX
    counts = {"started": 0, "skipped": 0}
    for pipeline in services.pipelines.values():
        for stream in pipeline.streams:
            if stream.parent is not None:
                continue  # its runs follow those of its parent
            try:
                await _stream_if_due(pipeline, stream, deadline, counts, services)
            except Conflict:
                counts["elsewhere"] = counts.get("elsewhere", 0) + 1
    return Outcome("scheduled", **{name: count or None for name, count in counts.items()})


def due_tick(known: Schedule, cron: str, mode: str, now: datetime) -> datetime | None:
    """The moment whose runs are to be started now, or None. Pure.

    Moments that were missed while nothing ran are not made up for one by one: the latest counts.
    """
    if not known.finished:
        return known.tick
    candidates = [known.requested] if known.requested else []
    if mode == "cron":
        candidates.append(croniter(cron, now, second_at_beginning=True, day_or=False).get_prev(datetime))
    latest = max(candidates, default=None)
    return latest if latest is not None and (known.tick is None or latest > known.tick) else None


def run_id(tick: datetime, key: StreamKey) -> str:
    """Sorts by time, unique over streams and users, the same for the same moment."""
    return f"{tick.astimezone(UTC).strftime(TICK)}-{key.digest()}"


def tick_of(run: str) -> datetime:
    """The moment that the id of a run is made from."""
    return datetime.strptime(run.partition("-")[0], TICK).replace(tzinfo=UTC)


async def _stream_if_due(
    pipeline: Pipeline, stream: Stream, deadline: datetime, counts: dict[str, int], services: Services
) -> None:
    """Raises Conflict when another scheduler is at the same stream."""
    known = await services.schedules.read(pipeline.pipeline, stream.name)
    tick = due_tick(known, pipeline.schedule_of(stream), services.settings.schedules, services.now())
    if tick is None or not may_begin(pipeline, stream, services):
        return
    if known.finished:
        known = await services.schedules.write(known.started(tick))
    async for users in _portions(services.users.all(known.after), PORTION):
        await _start_portion(pipeline, stream, users, tick, known.extent_at(tick), counts, services)
        if services.now() > deadline:
            await services.schedules.write(known.advanced(users[-1].id))
            return
        known = await services.schedules.write(known.advanced(users[-1].id))
    await services.schedules.write(known.completed())


async def _start_portion(
    pipeline: Pipeline,
    stream: Stream,
    users: list[User],
    tick: datetime,
    extent: Extent,
    counts: dict[str, int],
    services: Services,
) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def start(user: User) -> Outgoing | None:
        async with gate:
            run = run_id(tick, StreamKey(pipeline.pipeline, stream.name, user.id))
            return await start_run(pipeline, stream, user, run, services, extent)

    wake_ups = [each for each in await asyncio.gather(*map(start, users)) if each is not None]
    await services.broker.send(wake_ups)
    counts["started"] += len(wake_ups)
    counts["skipped"] += len(users) - len(wake_ups)


async def start_run(
    pipeline: Pipeline, stream: Stream, user: User, run: str, services: Services, extent: Extent = DUE
) -> Outgoing | None:
    """The first wake-up of this run of the user, or None where none is to be started.

    None: the user can't be mined now, the last run or one that follows it is still open, or parked for a reason that
    waiting does not cure.
    """
    now = services.now()
    if user.why_not(pipeline.pipeline, pipeline.credentials, now) is not None:
        return None
    key = StreamKey(pipeline.pipeline, stream.name, user.id)
    existing = await services.checkpoints.read(key)
    if existing is not None and _perhaps_unsent(existing, run):
        return current_wake_up(existing, services)
    if existing is not None and existing.is_open:
        await services.open_runs.add(OpenRun(key, existing.run, now))  # should the index have lost it
        return None
    if existing is not None and _has_been(existing, run):
        return None
    if existing is not None and existing.state is RunState.PARKED:
        await _resumed_if_cured(existing, services, turn_of(key, tick_of(run), pipeline, stream, services))
        return None
    after = await following(existing, services) if existing is not None and pipeline.children(stream.name) else []
    if await _go_on(after, services):
        return None
    await services.open_runs.add(OpenRun(key, run, now, extent))
    followed = all(each.state is RunState.DONE for each in after)
    begun = await _begin(key, run, existing, pipeline, stream, extent, services, followed=followed)
    return current_wake_up(begun, services) if begun else None


async def _resumed_if_cured(parked: Checkpoint, services: Services, at: datetime | None = None) -> None:
    if parked.reason in CURED_BY_TIME | CURED_BY_USER:
        with contextlib.suppress(Conflict):  # somebody else resumes it
            await resume(parked, services, at)


async def _go_on(after: list[Checkpoint], services: Services) -> bool:
    """Whether a run that follows the last one has not ended yet; what is parked and cured is resumed."""
    for each in after:
        if each.is_open:
            await services.open_runs.add(OpenRun(each.key, each.run, services.now()))
        elif each.state is RunState.PARKED:
            await _resumed_if_cured(each, services)
    return any(each.is_open or each.state is RunState.PARKED for each in after)


async def _begin(
    key: StreamKey,
    run: str,
    existing: Checkpoint | None,
    pipeline: Pipeline,
    stream: Stream,
    extent: Extent,
    services: Services,
    *,
    followed: bool,
) -> Checkpoint | None:
    """Insert or take over the checkpoint; None if another run was first.

    Another scheduler that was first with this same run may have been cut off since: its wake-up is sent again.
    """
    now, turn = services.now(), turn_of(key, tick_of(run), pipeline, stream, services)
    try:
        if existing is None:
            fresh = Checkpoint.begin(key, run, now, pipeline.priority, index=run)
            return await services.checkpoints.insert(replace(_asking(fresh, stream, extent), not_before=turn))
        index = run if stream.emit == "all" or extent.full else existing.index
        again = existing.begin_again(run, now, pipeline.priority, index, followed=followed)
        begun = await services.checkpoints.replace(replace(_asking(again, stream, extent), not_before=turn))
    except (AlreadyExists, Conflict):
        found = await services.checkpoints.read(key)
        return found if found is not None and _perhaps_unsent(found, run) else None
    if extent.full:
        await services.checkpoints.forget_index(key, existing.index)
    if existing.passed_on:
        await services.checkpoints.forget_passed(key, run)
    return begun


def _asking(begun: Checkpoint, stream: Stream, extent: Extent) -> Checkpoint:
    """The run knows from its beginning what it asks the source for, so that every page asks for the same."""
    if extent.is_backfill or stream.incremental is None:
        plan = plan_of(stream, Span(extent.since, extent.until))
        return begun.asking_for(plan, backfill=extent.is_backfill, anew=extent.full)
    watermark = "" if extent.full else begun.watermark
    span = span_of(stream.incremental, watermark, begun.started_at)
    return replace(begun.asking_for(plan_of(stream, span), anew=extent.full), watermark=watermark)


def _has_been(existing: Checkpoint, run: str) -> bool:
    """Whether this run, or a later one, was begun already: a scheduler that was held up must not begin it again.

    Ids of runs of one stream and user sort by time.
    """
    return existing.run >= run


def _perhaps_unsent(checkpoint: Checkpoint, run: str) -> bool:
    """Whether this run stands at its beginning, so that its first wake-up may never have been sent."""
    return checkpoint.run == run and checkpoint.is_open and checkpoint.next_seq == 0


async def _portions(values: AsyncIterator[T], size: int) -> AsyncIterator[list[T]]:
    portion: list[T] = []
    async for value in values:
        portion.append(value)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion

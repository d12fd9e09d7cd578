"""A page becomes true: with its checkpoint, with the strands of its run, and with the messages that follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from miners.work import Work
from processors.batches import BatchLimits, first_reached
from processors.dedupe import SeenCache
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.service_bus import Outgoing
from shared.checkpoint import Checkpoint
from shared.pipeline.responses import Page
from shared.pipeline.slices import bounded, counted_plan
from shared.pipeline.spec import DEFAULT_OUTPUTS
from shared.pipeline.watermarks import Span
from shared.runs import current_wake_up
from shared.services import Services
from shared.strands import absorbed, divided, shared_out

SOON = timedelta(seconds=2)
"""A delivery that is due so soon counts as due."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What a commit adds: the outbox row, where a record is new, and what the dedupe index learns."""

    page: CommittedPage | None
    learned: bytes


def placed(work: Work, page: Page) -> tuple[Work, Page]:
    """The work and the page as the slices want them: a run that is cut by its first response is, and what a page
    shows beyond its slice is left to the next one."""
    before, parallel = work.checkpoint, work.stream.parallel
    if parallel is not None and parallel.strategy != "time_windows" and work.ledger is None and before.next_seq == 0:
        plan = counted_plan(work.stream, Span(before.since, before.until), page.total)
        work = replace(work, checkpoint=before.planned(plan))
    current = work.checkpoint.current
    records, cursor = bounded(current, work.stream, before.cursor, page.records, page.cursor)
    return work, replace(page, records=records, cursor=cursor)


async def commit(
    work: Work, after: Checkpoint, staged: Staged, now: datetime, services: Services, cache: SeenCache
) -> bool:
    """The page and everything that becomes true with it; then the messages. Whether the run is done. Raises
    Conflict."""
    if work.ledger is not None:
        return await _commit_strand(work, work.ledger, after, staged, now, services, cache)
    parallel, deliver_at = work.stream.parallel, delivery_due(work.checkpoint, after, _limits(work, services), now)
    after = _delivering(after, deliver_at, now)
    ledger, strands = divided(after, parallel.max_concurrent, now) if parallel else (after, [])
    if strands:
        run, strands = await services.checkpoints.divide(ledger, strands, staged.page, staged.learned)
    else:
        run = await services.checkpoints.commit(after, staged.page, staged.learned)
    cache.advance(run, staged.learned)
    await services.broker.send(_followers(strands or [run], run, deliver_at, services))
    return not run.is_open


async def _commit_strand(
    work: Work,
    ledger: Checkpoint,
    after: Checkpoint,
    staged: Staged,
    now: datetime,
    services: Services,
    cache: SeenCache,
) -> bool:
    ledger, after = shared_out(absorbed(ledger, work.checkpoint, after), after, now)
    deliver_at = delivery_due(work.checkpoint, after, _limits(work, services), now)
    after = _delivering(after, deliver_at, now)
    strand, run = await services.checkpoints.commit_strand(after, ledger, staged.page, staged.learned)
    cache.advance(run, staged.learned)
    await services.broker.send(_followers([strand], strand, deliver_at, services))
    return not run.is_open


def _delivering(after: Checkpoint, deliver_at: datetime | None, now: datetime) -> Checkpoint:
    """The checkpoint with a note of the delivery that it asks for."""
    if deliver_at is None:
        return after
    return after.delivery_woken() if deliver_at == now else after.staging_since(now)


def _limits(work: Work, services: Services) -> BatchLimits:
    """The batch that is full first wakes the delivery of all outputs; who wants a larger one waits there."""
    return first_reached(work.pipeline.outputs or DEFAULT_OUTPUTS, services.settings)


def delivery_due(before: Checkpoint, after: Checkpoint, limits: BatchLimits, now: datetime) -> datetime | None:
    """When delivery is to be woken because of this commit: `now`, later, or not at all. Pure.

    A timed wake-up is asked for by the first staged page, and again by the first page that may come too late for it.
    """
    if not after.staged_records:
        return None
    full = after.staged_records >= limits.records or after.staged_bytes >= limits.bytes
    if full or not after.is_open:
        return now
    wait = timedelta(seconds=limits.seconds)
    still_to_come = before.staged_since is not None and now < before.staged_since + wait - SOON
    return None if still_to_come else now + wait


def _followers(
    going_on: Sequence[Checkpoint], committed: Checkpoint, deliver_at: datetime | None, services: Services
) -> list[Outgoing]:
    """The messages that follow a commit."""
    followers = [current_wake_up(each, services) for each in going_on if each.is_open]
    if deliver_at is not None:
        later = deliver_at if deliver_at > services.now() else None
        followers.append(services.outgoing(committed.delivery_wake_up(), at=later))
    return followers

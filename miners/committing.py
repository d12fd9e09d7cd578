"""Pages become true: with their checkpoint, with the strands of their run, and with the messages that follow."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from miners.group import Group
from miners.work import Work
from processors.batches import BatchLimits, first_reached
from processors.dedupe import SeenCache
from shared.adapters.service_bus import Outgoing
from shared.chains import begin_children
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


async def commit(group: Group, services: Services, cache: SeenCache, *, goes_on: bool = True) -> Checkpoint:
    """The pages of the group and everything that becomes true with them; then the messages, without that of the next
    page unless the run `goes_on` by it. The checkpoint of the run. Raises Conflict."""
    now, begun, after = services.now(), group.begun, group.after
    if begun.ledger is not None:
        return await _commit_strand(group, begun.ledger, now, services, cache)
    most, deliver_at = begun.stream.at_once, delivery_due(begun.checkpoint, after, _limits(begun, services), now)
    after = _delivering(after, deliver_at, now)
    ledger, strands = divided(after, most, now) if most > 1 else (after, [])
    if strands:
        run, strands = await services.checkpoints.divide(ledger, strands, group.rows, group.learned_row, group.passed)
    else:
        run = await services.checkpoints.commit(after, group.rows, group.learned_row, group.passed)
    cache.advance(run, group.learned_row)
    going_on = (strands or [run]) if goes_on else []
    await services.broker.send(_followers(going_on, run, deliver_at, begun.ahead, services))
    await begin_children(run, services)
    return run


async def _commit_strand(
    group: Group, ledger: Checkpoint, now: datetime, services: Services, cache: SeenCache
) -> Checkpoint:
    before, after = group.begun.checkpoint, group.after
    ledger, after = shared_out(absorbed(ledger, before, after), after, now)
    deliver_at = delivery_due(before, after, _limits(group.begun, services), now)
    after = _delivering(after, deliver_at, now)
    strand, run = await services.checkpoints.commit_strand(after, ledger, group.rows, group.learned_row, group.passed)
    cache.advance(run, group.learned_row)
    await services.broker.send(_followers([strand], strand, deliver_at, group.begun.ahead, services))
    await begin_children(run, services)
    return run


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
    going_on: Sequence[Checkpoint],
    committed: Checkpoint,
    deliver_at: datetime | None,
    ahead: timedelta,
    services: Services,
) -> list[Outgoing]:
    """The messages that follow a commit."""
    followers = [current_wake_up(each, services, ahead) for each in going_on if each.is_open]
    if deliver_at is not None:
        later = deliver_at if deliver_at > services.now() else None
        followers.append(services.outgoing(committed.delivery_wake_up(), at=later))
    return followers

"""The miner: one page of one stream for one user per wake-up, or a few.

    1 checkpoint   another run, ended: ignore. Behind: send what should have followed again
    2 admission    held back? later, under a new attempt
    3 time         not yet, or not at this hour? later
    4 user         paused, no credential: park with the reason, nobody else is disturbed. No token: get one
    5 fetch        within the budgets; one page, this user's own credential, this user's own client
    6 records      those this user does not have yet, transformed; perhaps the next page, as from 5
    7 commit       pages, dedupe index and checkpoint in one transaction, If-Match
    8 continue     the next wake-up; delivery, if enough is staged

The order of 5, 7, 8 and completing the message is what keeps everything exactly once: cut off anywhere, the message
comes back and finds in the checkpoint what is left to do.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from miners.access import Access, RenewedElsewhere, with_access
from miners.budget import NotYet, claimed, give_back
from miners.committing import commit, placed
from miners.failures import failed
from miners.fetching import fetched, with_parents, without_broken
from miners.group import Group, Had
from miners.hours import closed_until
from miners.settling import learned_since, settle
from miners.splitting import split, too_big_at_once
from miners.work import Work
from processors.dead_letters import Letter, park_message
from processors.dedupe import SeenCache
from processors.records import contradicts
from shared.checkpoint import WHOLE, Checkpoint, Standing
from shared.errors import Conflict, CursorLoop, MalformedMessage, PageLimit, SourceError
from shared.log import remember_secrets
from shared.messages import WakeUp
from shared.outcome import Outcome
from shared.pipeline.chains import with_parent_fields
from shared.pipeline.page_sizes import sized
from shared.pipeline.slices import Slice
from shared.pipeline.slots import HeldSlots
from shared.pipeline.spec import Stream
from shared.runs import park, postpone, send_current
from shared.services import Services
from shared.users import explained

SOON = timedelta(seconds=2)
"""A wait up to this is waited out; a longer one is scheduled."""

HELD_BACK = timedelta(seconds=60)


async def mine(letter: Letter, services: Services, cache: SeenCache) -> Outcome:
    """Handle one message of a `mine` queue. Raises what storage or the broker raise: the message then comes back."""
    try:
        wake_up = WakeUp.decode(letter.body)
    except MalformedMessage as error:
        return await park_message(letter, str(error), services)
    await services.backlog.note(letter.queue, letter.enqueued_at, services.now())
    try:
        outcome = await _mine(wake_up, letter.enqueued_at, services, cache)
    except Conflict:
        outcome = await _catch_up(wake_up, services)
    return outcome.about(wake_up)


async def _mine(wake_up: WakeUp, enqueued_at: datetime | None, services: Services, cache: SeenCache) -> Outcome:
    checkpoint, ledger = await _read(wake_up, services)
    standing = checkpoint.standing(wake_up) if checkpoint else Standing.STALE
    if checkpoint is None or standing is Standing.STALE:
        return Outcome("ignored")
    if standing is Standing.BEHIND:
        await send_current(checkpoint, services)
        return Outcome("resent", now_at=checkpoint.next_seq)
    ahead = enqueued_at - services.now() if enqueued_at is not None else timedelta(0)
    if (held_back := await _held_back_until(checkpoint, services)) is not None:
        await postpone(checkpoint, held_back, services, ahead)
        return Outcome("postponed", until=held_back.isoformat(timespec="seconds"))
    work = await _prepared(checkpoint, ledger, ahead, services)
    if isinstance(work, str):
        await park(checkpoint, work.partition(":")[0], None, explained(work), services)
        return Outcome("parked", reason=work)
    work = await claimed(work, services)
    outcome = await _mine_group(work, services, cache)
    await give_back(work, services)
    return outcome


async def _read(wake_up: WakeUp, services: Services) -> tuple[Checkpoint | None, Checkpoint | None]:
    """The checkpoint that a wake-up names, and the ledger of its run if it is a strand of one that goes on."""
    checkpoint = await services.checkpoints.read(wake_up.key, wake_up.slice)
    if checkpoint is None or checkpoint.slice == WHOLE:
        return checkpoint, None
    ledger = await services.checkpoints.read(wake_up.key)
    if ledger is None or ledger.run != checkpoint.run or ledger.is_over:
        return None, None
    return checkpoint, ledger


async def _held_back_until(checkpoint: Checkpoint, services: Services) -> datetime | None:
    """When to come back because admission, a wait that was asked for or the hour says so, or None: go on now."""
    now = services.now()
    if not await services.admission.admits(checkpoint.key):
        return now + HELD_BACK * (0.5 + services.random())
    until = max((each for each in (checkpoint.not_before, closed_until(checkpoint, services)) if each), default=now)
    if until - now > SOON:
        return until
    await services.sleep(max(0.0, (until - now).total_seconds()))
    return None


async def _prepared(
    checkpoint: Checkpoint, ledger: Checkpoint | None, ahead: timedelta, services: Services
) -> Work | str:
    """What the page needs, or the reason why it can't be mined."""
    pipeline = services.pipelines.get(checkpoint.key.pipeline)
    stream = pipeline.stream(checkpoint.key.stream) if pipeline else None
    if pipeline is None or stream is None:
        return "pipeline_unknown"
    user = await services.users.get(checkpoint.key.user)
    if user is None:
        return "user_unknown"
    remember_secrets(user.credentials.values())
    return user.why_not(pipeline.pipeline, pipeline.credentials, services.now()) or Work(
        checkpoint, ledger, pipeline, stream, user, slots=HeldSlots.decode(checkpoint.slots), ahead=ahead
    )


async def _mine_group(begun: Work, services: Services, cache: SeenCache) -> Outcome:
    """Page after page as far as the group goes, then commit them and continue. Raises Conflict."""
    group, most = Group(begun, services.now()), begun.turn(services.settings)
    while True:
        try:
            halves = await _with_page(group, services, cache)
        except RenewedElsewhere as renewed:
            work = await _so_far(group, services, cache)
            await postpone(work.checkpoint, renewed.until, services)
            return Outcome("postponed", until=renewed.until.isoformat(timespec="seconds"))
        except NotYet as held_back:
            return await _put_off(group, held_back.until, services, cache)
        except SourceError as error:
            return await failed(await _so_far(group, services, cache), error, services)
        if halves is not None:
            return await split(await _so_far(group, services, cache), halves, services)
        goes_on = group.goes_on(most, services.now()) and closed_until(begun.checkpoint, services) is None
        if not (goes_on and await services.admission.admits(begun.checkpoint.key)):
            return await _committed(group, services, cache)


async def _committed(group: Group, services: Services, cache: SeenCache) -> Outcome:
    """Everything that the group has, and the messages that follow. Raises Conflict."""
    while True:
        try:
            run = await commit(group, services, cache)
            break
        except Conflict:
            group = await _beside_others(group, services, cache)
    wait = group.had.page.wait if group.had is not None and run.is_open else None
    return Outcome(
        "committed",
        pages=group.pages if group.pages > 1 else None,
        records=group.records,
        duplicates=group.duplicates,
        skipped=group.skipped or None,
        index_rows=group.index_rows or None,
        seconds=round(wait, 1) if wait else None,
        done=not run.is_open or None,
    )


async def _put_off(group: Group, until: datetime, services: Services, cache: SeenCache) -> Outcome:
    """The next page comes back for the slots that are booked for it; those before it are committed. Raises Conflict."""
    work = group.work
    waiting = replace(work.checkpoint, not_before=until, slots=work.slots.encode())
    work.slots.lanes = {}
    if not group.pages:
        await postpone(waiting, until, services, work.ahead)
        return Outcome("postponed", until=until.isoformat(timespec="seconds"))
    group.work = replace(work, checkpoint=waiting)
    return await _committed(group, services, cache)


async def _so_far(group: Group, services: Services, cache: SeenCache) -> Work:
    """The work behind the pages that the group has, which are committed. Raises Conflict."""
    if not group.pages:
        return group.begun
    run = await commit(group, services, cache, goes_on=False)
    return replace(group.work, checkpoint=run)


async def _beside_others(group: Group, services: Services, cache: SeenCache) -> Group:
    """Another strand of the run has committed meanwhile: the same page again, behind its records.

    Raises Conflict where it is this page that somebody else was first with, where the run is over, and where the other
    strand has seen a record with other content: fetched again, what this page shows is the newer.
    """
    before, had = group.begun.checkpoint, group.had
    if group.begun.ledger is None or had is None:
        raise Conflict("the checkpoint has changed")
    strand = await services.checkpoints.read(before.key, before.slice)
    ledger = await services.checkpoints.read(before.key)
    if strand is None or strand.etag != before.etag or ledger is None or ledger.run != before.run or ledger.is_over:
        raise Conflict("the checkpoint has changed")
    if contradicts(had.page.records, group.begun.stream, await learned_since(group.begun.run, ledger, services)):
        raise Conflict("another slice shows a record of this page with other content")
    again = Group(replace(had.work, checkpoint=strand, ledger=ledger), group.started)
    again.add(had, await settle(again, replace(had, work=again.begun), services, cache))
    return again


async def _with_page(group: Group, services: Services, cache: SeenCache) -> tuple[Slice, Slice] | None:
    """Another page for the group, or the halves of a slice that is too big for the source.

    Raises RenewedElsewhere, SourceError or Conflict before anything is committed.
    """
    work = await with_parents(group.work, services)

    async def use(access: Access) -> tuple[Slice, Slice] | None:
        return await _one_page(group, replace(work, access=access), services, cache)

    return await with_access(work.pipeline, work.user, services, use)


async def _one_page(group: Group, work: Work, services: Services, cache: SeenCache) -> tuple[Slice, Slice] | None:
    _check_bounds(work.checkpoint, work.run, work.stream)
    page, now = await fetched(replace(work, stream=sized(work.stream, work.checkpoint.page_size)), services)
    if (halves := too_big_at_once(work, page)) is not None:
        return halves
    work, page = placed(work, page)
    page, skipped = without_broken(page, work)
    if work.stream.parent is not None:
        page = replace(page, records=with_parent_fields(page.records, work.stream.parent, work.parents))
    had = Had(work, page, skipped, now)
    group.add(had, await settle(group, had, services, cache))
    return None


def _check_bounds(checkpoint: Checkpoint, run: Checkpoint, stream: Stream) -> None:
    """Raises PageLimit or CursorLoop before one page too many; what the source has shown until then is committed."""
    if run.next_seq >= stream.max_pages:
        raise PageLimit(f"the run has {stream.max_pages} pages and the source names another (max_pages)")
    if checkpoint.guard.tripped(stream.repeated_cursor_limit):
        raise CursorLoop(
            f"the source named a cursor again, {stream.repeated_cursor_limit} times (repeated_cursor_limit)"
        )


async def _catch_up(wake_up: WakeUp, services: Services) -> Outcome:
    """Somebody else wrote the checkpoint first: make sure that the run goes on, whoever that was."""
    checkpoint = await services.checkpoints.read(wake_up.key, wake_up.slice)
    standing = checkpoint.standing(wake_up) if checkpoint else Standing.STALE
    if checkpoint is None or standing is Standing.STALE:
        return Outcome("overtaken")
    if standing is Standing.CURRENT:
        await postpone(checkpoint, services.now(), services)
    else:
        await send_current(checkpoint, services)
    return Outcome("overtaken", now_at=checkpoint.next_seq)

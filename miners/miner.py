"""The miner: one page of one stream for one user per wake-up.

    1 checkpoint   another run, ended: ignore. Behind: send what should have followed again
    2 admission    held back? later, under a new attempt
    3 budget       not yet time, or not at this hour? later
    4 user         paused, no credential: park with the reason, nobody else is disturbed. No token: get one
    5 fetch        one page, this user's own credential, this user's own client
    6 records      those this user does not have yet, transformed
    7 commit       page, dedupe index and checkpoint in one transaction, If-Match
    8 continue     the next wake-up; delivery, if enough is staged

The order of 5, 7, 8 and completing the message is what keeps everything exactly once: cut off anywhere, the message
comes back and finds in the checkpoint what is left to do.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from miners.access import RenewedElsewhere, with_access
from miners.committing import Staged, commit, placed
from miners.failures import failed
from miners.hours import closed_until
from miners.splitting import cut_short, split, too_big_at_once
from miners.work import Work
from processors.dead_letters import Letter, park_message
from processors.dedupe import SeenCache
from processors.records import SeenKeys, Sifted, compressed, contradicts, learn, output_lines, sift, writable
from processors.transforms import transformed
from shared.adapters.checkpoint_table import CommittedPage
from shared.checkpoint import WHOLE, Checkpoint, Standing
from shared.errors import (
    Conflict,
    CursorLoop,
    MalformedMessage,
    PageLimit,
    SourceError,
)
from shared.log import remember_secrets
from shared.messages import WakeUp
from shared.outcome import Outcome
from shared.pipeline.auth import attachment, secrets_of, without_secret_inside, without_secrets
from shared.pipeline.extraction import extracted
from shared.pipeline.marks import is_before, later
from shared.pipeline.pagination import decoded_query, encoded_query
from shared.pipeline.requests import PageRequest, page_request, resolved
from shared.pipeline.responses import Page, Response, read_page, succeeded
from shared.pipeline.spec import Custom, HeaderLink, JsonLink, NextQuery, Stream
from shared.pipeline.watermarks import highest_of, marks_of
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
    if (held_back := await _held_back_until(checkpoint, services)) is not None:
        await postpone(checkpoint, held_back, services, _broker_ahead(enqueued_at, services.now()))
        return Outcome("postponed", until=held_back.isoformat(timespec="seconds"))
    work = await _prepared(checkpoint, ledger, services)
    if isinstance(work, str):
        await park(checkpoint, work.partition(":")[0], None, explained(work), services)
        return Outcome("parked", reason=work)
    try:
        return await with_access(
            work.pipeline, work.user, services, lambda access: _one_page(replace(work, access=access), services, cache)
        )
    except RenewedElsewhere as renewed:
        await postpone(checkpoint, renewed.until, services)
        return Outcome("postponed", until=renewed.until.isoformat(timespec="seconds"))
    except SourceError as error:
        return await failed(work, error, services)


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


def _broker_ahead(enqueued_at: datetime | None, now: datetime) -> timedelta:
    """How far the broker's clock is ahead of ours: a message that is here can't become available in the future.

    Without it, a wake-up that is scheduled by a clock that is behind comes back at once, again and again.
    """
    return max(timedelta(0), enqueued_at - now) if enqueued_at is not None else timedelta(0)


async def _prepared(checkpoint: Checkpoint, ledger: Checkpoint | None, services: Services) -> Work | str:
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
        checkpoint, ledger, pipeline, stream, user
    )


async def _one_page(work: Work, services: Services, cache: SeenCache) -> Outcome:
    """Fetch, sift, commit, continue. Raises SourceError or Conflict before anything is committed."""
    _check_bounds(work.checkpoint, work.run, work.stream)
    page, now = await _fetched(work, services)
    if (halves := too_big_at_once(work, page)) is not None:
        return await split(work, halves, services)
    work, page = placed(work, page)
    page, skipped = _without_broken(page, work)
    while True:
        try:
            return await _settle(work, page, skipped, now, services, cache)
        except Conflict:
            work = await _beside_others(work, page, services)


async def _settle(work: Work, page: Page, skipped: int, now: datetime, services: Services, cache: SeenCache) -> Outcome:
    """Sift, commit, continue. Raises Conflict before anything is committed."""
    before = work.checkpoint
    sifted = sift(page.records, work.stream, await cache.seen(work.run, services.checkpoints))
    if not sifted.kept and await _has_caught_up(work, page, services):
        page = replace(page, cursor=None)
    guard = before.guard
    if page.cursor is not None:
        guard = guard.advance(before.next_seq, before.cursor, page.cursor)
    lines = output_lines(transformed(sifted.kept, work.stream, work.scopes), before, now, sifted.deleted)
    after = before.committed(
        now,
        page.cursor,
        guard,
        records=len(sifted.kept),
        duplicates=sifted.duplicates,
        size=len(lines),
        indexed=bool(sifted.learned),
        highest=_highest(work, page),
        late=_late(work, sifted),
        shown=len(page.records),
        halves=cut_short(work, page),
        skipped=skipped,
        not_before=now + timedelta(seconds=page.wait) if page.wait else None,
    )
    staged = Staged(_outbox_row(before, sifted, lines, now), sifted.learned)
    done = await commit(work, after, staged, now, services, cache)
    return Outcome(
        "committed",
        records=len(sifted.kept),
        duplicates=sifted.duplicates,
        skipped=skipped or None,
        seconds=round(page.wait, 1) if page.wait and not done else None,
        done=done or None,
    )


async def _beside_others(work: Work, page: Page, services: Services) -> Work:
    """Another strand of the run has committed meanwhile: the same page again, behind its records.

    Raises Conflict where it is this page that somebody else was first with, where the run is over, and where the other
    strand has seen a record with other content: fetched again, what this page shows is the newer.
    """
    before = work.checkpoint
    if work.ledger is None:
        raise Conflict("the checkpoint has changed")
    strand = await services.checkpoints.read(before.key, before.slice)
    ledger = await services.checkpoints.read(before.key)
    if strand is None or strand.etag != before.etag or ledger is None or ledger.run != before.run or ledger.is_over:
        raise Conflict("the checkpoint has changed")
    if contradicts(page.records, work.stream, await _learned_since(work.run, ledger, services)):
        raise Conflict("another slice shows a record of this page with other content")
    return replace(work, checkpoint=strand, ledger=ledger)


async def _learned_since(before: Checkpoint, ledger: Checkpoint, services: Services) -> SeenKeys:
    learned: SeenKeys = {}
    for row in await services.checkpoints.seen(ledger, before.index_position):
        learn(learned, row)
    return learned


async def _fetched(work: Work, services: Services) -> tuple[Page, datetime]:
    """The page at the checkpoint's cursor, and when it was had."""
    request = page_request(work.pipeline, work.stream, work.checkpoint.cursor, work.scopes)
    if work.stream.extractor is not None:
        return await _extracted(work, work.stream.extractor, request, services), services.now()
    response = await services.source.fetch(work.user.id, request, attachment(work.pipeline, work.scopes))
    now = services.now()
    page = read_page(work.stream, work.checkpoint.cursor, response, now, work.pipeline.source.responses)
    return replace(page, cursor=_storable(page.cursor, work, request.url)), now


def _storable(cursor: str | None, work: Work, url: str) -> str | None:
    """The cursor as it is kept: a link is made absolute, and what repeats the credential is taken out."""
    if cursor is None:
        return None
    secrets = [work.access.token, *secrets_of(work.pipeline, work.user.credentials)]
    match work.stream.paginator:
        case JsonLink() | HeaderLink():
            return without_secrets(resolved(url, cursor), secrets)
        case NextQuery():
            query = decoded_query(cursor)
            return encoded_query({name: value for name, value in query.items() if value not in secrets})
        case Custom():
            return without_secret_inside(cursor, secrets)
        case _:
            return cursor


async def _extracted(work: Work, extractor: Custom, first: PageRequest, services: Services) -> Page:
    attached = attachment(work.pipeline, work.scopes)

    async def fetch(request: PageRequest) -> Response:
        response = await services.source.fetch(work.user.id, request, attached)
        return succeeded(work.stream, response, services.now(), work.pipeline.source.responses)

    page = await extracted(extractor, first, work.checkpoint.cursor, fetch)
    secrets = [work.access.token, *secrets_of(work.pipeline, work.user.credentials)]
    return replace(page, cursor=without_secret_inside(page.cursor, secrets))


def _without_broken(page: Page, work: Work) -> tuple[Page, int]:
    """The page without records that can't be written, and how many they were, where the file says to skip them."""
    if work.stream.on_error.mode != "skip_record":
        return page, 0
    whole = writable(page.records)
    return replace(page, records=whole), len(page.records) - len(whole)


def _highest(work: Work, page: Page) -> str:
    """The furthest mark that the run has met, or the watermark. Raises MalformedResponse."""
    before, asks = work.run, work.stream.incremental
    known = before.highest or before.watermark
    if asks is None:
        return known
    return later(known, highest_of(asks, page.records, page.headers, before.started_at, before.next_seq), asks.format)


def _late(work: Work, sifted: Sifted) -> int:
    """How many of the records that are kept lie behind the watermark."""
    asks, watermark = work.stream.incremental, work.run.watermark
    if asks is None or not asks.cursor_path or not watermark:
        return 0
    return sum(is_before(mark, watermark, asks.format) for mark in marks_of(sifted.kept, asks.cursor_path, asks.format))


async def _has_caught_up(work: Work, page: Page, services: Services) -> bool:
    """Whether a page of which nothing is kept is where an earlier run began, and that run left nothing out.

    A source that moves while it is paged may show a whole page of this same run again; that is no end.
    """
    before = work.checkpoint
    if work.stream.stop_when != "all_seen" or not before.caught_up or not page.records:
        return False
    start = replace(before, index_position=before.index_start)
    return not sift(page.records, work.stream, await _learned_since(start, before, services)).duplicates


def _outbox_row(before: Checkpoint, sifted: Sifted, lines: bytes, now: datetime) -> CommittedPage | None:
    """The outbox row, or None where no record is new."""
    if not sifted.kept:
        return None
    return CommittedPage(
        before.run, before.slice, before.next_seq, now, len(sifted.kept), len(lines), compressed(lines)
    )


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

"""The miner: one page of one stream for one user per wake-up.

    1 checkpoint   another run, ended: ignore. Behind: send what should have followed again
    2 admission    held back? later, under a new attempt
    3 budget       not yet time? later
    4 user         paused, no credential: park with the reason, nobody else is disturbed
    5 fetch        one page, this user's own credential, this user's own client
    6 records      those this user does not have yet, transformed
    7 commit       page, dedupe index and checkpoint in one transaction, If-Match
    8 continue     the next wake-up; delivery, if enough is staged

The order of 5, 7, 8 and completing the message is what keeps everything exactly once: cut off anywhere, the message
comes back and finds in the checkpoint what is left to do.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from processors.dead_letters import Letter, park_message
from processors.dedupe import SeenCache
from processors.records import Sifted, compressed, output_lines, sift
from processors.transforms import transformed
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.service_bus import Outgoing
from shared.checkpoint import Checkpoint, Standing
from shared.errors import Conflict, CursorLoop, InvalidCredential, MalformedMessage, PageLimit, SourceError
from shared.log import redacted, remember_secrets
from shared.messages import WakeUp
from shared.outcome import Outcome
from shared.pipeline.auth import attachment, secrets_of, without_secret_inside, without_secrets
from shared.pipeline.extraction import extracted
from shared.pipeline.requests import PageRequest, page_request, resolved
from shared.pipeline.responses import Page, Response, read_page, succeeded
from shared.pipeline.spec import Custom, HeaderLink, JsonLink, Pipeline, Stream
from shared.pipeline.templates import Scopes
from shared.retries import next_wait
from shared.runs import LONGEST_ERROR, park, postpone, send_current, write_and_send
from shared.services import Services
from shared.settings import Settings
from shared.users import User, explained

SOON = timedelta(seconds=2)
"""A wait up to this is waited out; a longer one is scheduled."""

HELD_BACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Work:
    """What one page is mined with."""

    checkpoint: Checkpoint
    pipeline: Pipeline
    stream: Stream
    user: User

    @property
    def scopes(self) -> Scopes:
        return {
            "user": {"id": self.user.id},
            "params": self.user.params,
            "credentials": self.user.credentials,
        }


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
    checkpoint = await services.checkpoints.read(wake_up.key, wake_up.slice)
    standing = checkpoint.standing(wake_up) if checkpoint else Standing.STALE
    if checkpoint is None or standing is Standing.STALE:
        return Outcome("ignored")
    if standing is Standing.BEHIND:
        await send_current(checkpoint, services)
        return Outcome("resent", now_at=checkpoint.next_seq)
    if (held_back := await _held_back_until(checkpoint, services)) is not None:
        await postpone(checkpoint, held_back, services, _broker_ahead(enqueued_at, services.now()))
        return Outcome("postponed", until=held_back.isoformat(timespec="seconds"))
    work = await _prepared(checkpoint, services)
    if isinstance(work, str):
        await park(checkpoint, work.partition(":")[0], None, explained(work), services)
        return Outcome("parked", reason=work)
    try:
        return await _one_page(work, services, cache)
    except SourceError as error:
        return await _failed(work, error, services)


async def _held_back_until(checkpoint: Checkpoint, services: Services) -> datetime | None:
    """When to come back because admission or a wait that was asked for says so, or None: go on now."""
    now = services.now()
    if not await services.admission.admits(checkpoint.key):
        return now + HELD_BACK * (0.5 + services.random())
    if checkpoint.not_before is None or checkpoint.not_before <= now:
        return None
    if checkpoint.not_before - now > SOON:
        return checkpoint.not_before
    await services.sleep((checkpoint.not_before - now).total_seconds())
    return None


def _broker_ahead(enqueued_at: datetime | None, now: datetime) -> timedelta:
    """How far the broker's clock is ahead of ours: a message that is here can't become available in the future.

    Without it, a wake-up that is scheduled by a clock that is behind comes back at once, again and again.
    """
    return max(timedelta(0), enqueued_at - now) if enqueued_at is not None else timedelta(0)


async def _prepared(checkpoint: Checkpoint, services: Services) -> Work | str:
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
        checkpoint, pipeline, stream, user
    )


async def _one_page(work: Work, services: Services, cache: SeenCache) -> Outcome:
    """Fetch, sift, commit, continue. Raises SourceError or Conflict before anything is committed."""
    before = work.checkpoint
    _check_bounds(before, work.stream)
    page, now = await _fetched(work, services)
    guard = before.guard
    if page.cursor is not None:
        guard = guard.advance(before.next_seq, before.cursor, page.cursor)
    sifted = sift(page.records, work.stream, await cache.seen(before, services.checkpoints))
    shown = transformed(sifted.kept, work.stream, work.scopes)
    lines = output_lines(shown, before, now, sifted.deleted)
    after = before.committed(
        now,
        page.cursor,
        guard,
        records=len(sifted.kept),
        duplicates=sifted.duplicates,
        size=len(lines),
        indexed=bool(sifted.learned),
    )
    deliver_at = delivery_due(before, after, services.settings, now)
    if deliver_at is not None:
        after = after.delivery_woken() if deliver_at == now else after.staging_since(now)
    committed = await services.checkpoints.commit(after, _staged(before, sifted, lines, now), sifted.learned)
    cache.advance(committed, sifted.learned)
    await services.broker.send(_followers(committed, deliver_at, services))
    return Outcome(
        "committed",
        records=len(sifted.kept),
        duplicates=sifted.duplicates,
        done=not committed.is_open or None,
    )


async def _fetched(work: Work, services: Services) -> tuple[Page, datetime]:
    """The page at the checkpoint's cursor, and when it was had."""
    request = page_request(work.pipeline, work.stream, work.checkpoint.cursor, work.scopes)
    if work.stream.extractor is not None:
        return await _extracted(work, work.stream.extractor, request, services), services.now()
    response = await services.source.fetch(work.user.id, request, attachment(work.pipeline, work.scopes))
    now = services.now()
    page = read_page(work.stream, work.checkpoint.cursor, response, now)
    if isinstance(work.stream.paginator, Custom):
        return _without_secret(work, page), now
    if page.cursor is not None and isinstance(work.stream.paginator, JsonLink | HeaderLink):
        link = resolved(request.url, page.cursor)
        page = replace(page, cursor=without_secrets(link, secrets_of(work.pipeline, work.user.credentials)))
    return page, now


async def _extracted(work: Work, extractor: Custom, first: PageRequest, services: Services) -> Page:
    attached = attachment(work.pipeline, work.scopes)

    async def fetch(request: PageRequest) -> Response:
        response = await services.source.fetch(work.user.id, request, attached)
        return succeeded(work.stream, response, services.now())

    page = await extracted(extractor, first, work.checkpoint.cursor, fetch)
    return _without_secret(work, page)


def _without_secret(work: Work, page: Page) -> Page:
    secrets = secrets_of(work.pipeline, work.user.credentials)
    return replace(page, cursor=without_secret_inside(page.cursor, secrets))


def _check_bounds(checkpoint: Checkpoint, stream: Stream) -> None:
    """Raises PageLimit or CursorLoop before one page too many; what the source has shown until then is committed."""
    if checkpoint.next_seq >= stream.max_pages:
        raise PageLimit(f"the run has {stream.max_pages} pages and the source names another (max_pages)")
    if checkpoint.guard.tripped(stream.repeated_cursor_limit):
        raise CursorLoop(
            f"the source named a cursor again, {stream.repeated_cursor_limit} times (repeated_cursor_limit)"
        )


def _staged(before: Checkpoint, sifted: Sifted, lines: bytes, now: datetime) -> CommittedPage | None:
    """The outbox row, or None where no record is new."""
    if not sifted.kept:
        return None
    return CommittedPage(
        before.run, before.slice, before.next_seq, now, len(sifted.kept), len(lines), compressed(lines)
    )


def delivery_due(before: Checkpoint, after: Checkpoint, settings: Settings, now: datetime) -> datetime | None:
    """When delivery is to be woken because of this commit: `now`, later, or not at all. Pure.

    A timed wake-up is asked for by the first staged page, and again by the first page that may come too late for it.
    """
    if not after.staged_records:
        return None
    full = after.staged_records >= settings.delivery_records or after.staged_bytes >= settings.delivery_bytes
    if full or not after.is_open:
        return now
    wait = timedelta(seconds=settings.delivery_seconds)
    still_to_come = before.staged_since is not None and now < before.staged_since + wait - SOON
    return None if still_to_come else now + wait


def _followers(committed: Checkpoint, deliver_at: datetime | None, services: Services) -> list[Outgoing]:
    """The messages that follow a commit."""
    followers = [services.outgoing(committed.wake_up(), committed.priority)] if committed.is_open else []
    if deliver_at is not None:
        later = deliver_at if deliver_at > services.now() else None
        followers.append(services.outgoing(committed.delivery_wake_up(), at=later))
    return followers


async def _failed(work: Work, error: SourceError, services: Services) -> Outcome:
    """Later with back-off, or parked; the checkpoint keeps the evidence. Raises Conflict."""
    checkpoint, said = work.checkpoint, redacted(str(error))[:LONGEST_ERROR]
    if isinstance(error, InvalidCredential) and not await _marked_as_rejected(work, services):
        await postpone(checkpoint, services.now(), services)
        return Outcome("postponed", error="the user was changed meanwhile")
    wait = next_wait(error.kind, checkpoint.failures, error.retry_after, services.random)
    if wait is None:
        await park(checkpoint, str(error.kind), error.kind, said, services)
        return Outcome("parked", reason=error.kind, error=said)
    now = services.now()
    await write_and_send(checkpoint.failed(now, now + timedelta(seconds=wait), error.kind, said), services)
    return Outcome("retried", kind=error.kind, error=said, seconds=round(wait, 1), failures=checkpoint.failures + 1)


async def _marked_as_rejected(work: Work, services: Services) -> bool:
    """Note that the source refused this credential; False if the user, perhaps the credential, has changed since."""
    try:
        await services.users.change(work.user.with_rejection(work.pipeline.pipeline))
    except Conflict:
        return False
    return True


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

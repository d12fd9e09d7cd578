"""What becomes of a page that can't be had: later, elsewhere, or never."""

from dataclasses import replace
from datetime import timedelta

from miners.splitting import smaller_batch, smaller_window, split
from miners.work import Work
from shared.errors import Conflict, ErrorKind, InvalidCredential, RequestRejected, SourceError
from shared.log import redacted
from shared.outcome import Outcome
from shared.pipeline.page_sizes import shrunk
from shared.retries import next_wait
from shared.runs import LONGEST_ERROR, fail, leave_out, park, postpone, write_and_send
from shared.services import Services

MOST_RESTARTS = 5
"""How often a slice is begun anew because its cursor has expired."""


HALVED = frozenset({ErrorKind.TEMPORARY, ErrorKind.MALFORMED})
"""A batch that fails so again and again may do so because of its size, or of one of those in it."""


async def failed(work: Work, error: SourceError, services: Services) -> Outcome:
    """Later with back-off, or parked; the checkpoint keeps the evidence. Raises Conflict."""
    checkpoint, said, policy = work.checkpoint, redacted(str(error))[:LONGEST_ERROR], work.stream.on_error
    if isinstance(error, InvalidCredential) and not await _marked_as_rejected(work, services):
        await postpone(checkpoint, services.now(), services)
        return Outcome("postponed", error="the user was changed meanwhile")
    if error.too_large and (smaller := shrunk(work.stream, checkpoint.page_size)) is not None:
        now = services.now()
        less = replace(checkpoint.postponed(now, now), page_size=smaller, retries=checkpoint.retries + 1)
        await write_and_send(less, services)
        return Outcome("shrunk", error=said, page_size=smaller)
    if isinstance(error, RequestRejected) and (halves := smaller_window(work) or smaller_batch(work)) is not None:
        return await split(work, halves, services)
    if error.kind is ErrorKind.CURSOR_EXPIRED and _may_restart(work):
        await write_and_send(checkpoint.restarted(services.now(), services.now()), services)
        return Outcome("restarted", error=said, restarts=checkpoint.restarts + 1)
    wait = next_wait(error.kind, checkpoint.failures, error.retry_after, services.random, policy)
    if wait is None and error.kind in HALVED and (halves := smaller_batch(work)) is not None:
        return await split(work, halves, services)
    if wait is None:
        return await _gave_up(work, error.kind, said, services)
    now = services.now()
    await write_and_send(checkpoint.failed(now, now + timedelta(seconds=wait), error.kind, said), services)
    return Outcome("retried", kind=error.kind, error=said, seconds=round(wait, 1), failures=checkpoint.failures + 1)


def _may_restart(work: Work) -> bool:
    """Whether the slice may be read again: only a key keeps what it has shown from coming twice."""
    before = work.checkpoint
    return before.cursor is not None and before.restarts < MOST_RESTARTS and bool(work.stream.primary_key)


async def _gave_up(work: Work, kind: ErrorKind, said: str, services: Services) -> Outcome:
    """What the pipeline file wants of a page that can't be had. A credential is never given up slice by slice."""
    checkpoint, mode = work.checkpoint, work.stream.on_error.mode
    if mode == "continue" and kind is not ErrorKind.INVALID_CREDENTIAL and work.run.may_give_up:
        await leave_out(checkpoint, kind, said, services)
        return Outcome("left_out", reason=kind, error=said, since=checkpoint.since, until=checkpoint.until)
    if mode == "fail" and kind is not ErrorKind.INVALID_CREDENTIAL:
        await fail(checkpoint, kind, said, services)
        return Outcome("ended", reason=kind, error=said)
    await park(checkpoint, str(kind), kind, said, services)
    return Outcome("parked", reason=kind, error=said)


async def _marked_as_rejected(work: Work, services: Services) -> bool:
    """Note that the source refused this credential; False if the user, perhaps the credential, has changed since."""
    try:
        await services.users.change(work.user.with_rejection(work.pipeline.pipeline))
    except Conflict:
        return False
    return True

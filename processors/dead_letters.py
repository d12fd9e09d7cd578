"""Dead letters: classify, then replay later, park or drop. Always completes.

A plain function can't say why it gave up, so a dead letter's own reason is nearly always «too many deliveries». The
evidence is the last error in the checkpoint, if the page has failed since the last one, or in the delivery row.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.adapters.parked_table import Parked
from shared.adapters.service_bus import Outgoing
from shared.checkpoint import Checkpoint, Standing
from shared.errors import Conflict, ErrorKind, MalformedMessage, StorageError
from shared.messages import WakeUp
from shared.outcome import Outcome
from shared.runs import deliver_again, park, send_current, write_and_send
from shared.services import Services

STORAGE_WAIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Replay:
    """Send it again `after` so many seconds, `times` in all, each time twice as late; then park."""

    after: float
    times: int


@dataclass(frozen=True, slots=True)
class Park:
    """Somebody has to look at it."""


POLICY: dict[ErrorKind, Replay | Park] = {
    ErrorKind.RATE_LIMITED: Replay(after=900, times=8),
    ErrorKind.TEMPORARY: Replay(after=60, times=6),
    ErrorKind.UNKNOWN: Replay(after=30, times=4),
    ErrorKind.INVALID_CREDENTIAL: Park(),
    ErrorKind.CURSOR_LOOP: Park(),
    ErrorKind.PAGE_LIMIT: Park(),
    ErrorKind.CURSOR_EXPIRED: Park(),
    ErrorKind.REJECTED: Park(),
    ErrorKind.MALFORMED: Replay(after=300, times=2),
}
"""By the kind of the last error. What is not a wake-up at all is parked; what nobody waits for is dropped."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as a trigger got it: `queue` is the one it was sent to; `reason` and `description` are the broker's,
    of a dead one. `enqueued_at` is when it became available, by the broker's clock."""

    queue: str
    body: bytes
    message_id: str
    reason: str = ""
    description: str = ""
    enqueued_at: datetime | None = None


async def handle(letter: Letter, services: Services) -> Outcome:
    """Raises only when neither storage nor the broker can be reached; the letter then stays where it is."""
    try:
        return await _judge(letter, services)
    except StorageError as error:
        await _again_later(letter, services)
        return Outcome("returned", error=str(error), reason=letter.reason)


async def park_message(letter: Letter, error: str, services: Services) -> Outcome:
    """Keep a message that is not ours, with its bytes."""
    digest = hashlib.blake2b(letter.body, digest_size=6).hexdigest()
    await services.parked.put(
        Parked(
            id=f"message/{letter.message_id or 'none'}/{digest}",
            queue=letter.queue,
            body=letter.body,
            reason=ErrorKind.MALFORMED,
            error=error,
            parked_at=services.now(),
        )
    )
    return Outcome("parked", reason=ErrorKind.MALFORMED, error=error)


async def _judge(letter: Letter, services: Services) -> Outcome:
    try:
        wake_up = WakeUp.decode(letter.body)
    except MalformedMessage as error:
        return await park_message(letter, str(error), services)
    judge = _mine_later if wake_up.kind == "mine" else _deliver_later
    return (await judge(wake_up, letter, services)).about(wake_up)


async def _mine_later(wake_up: WakeUp, letter: Letter, services: Services) -> Outcome:
    checkpoint = await services.checkpoints.read(wake_up.key, wake_up.slice)
    if checkpoint is None or checkpoint.standing(wake_up) is Standing.STALE:
        return Outcome("dropped", reason="nobody waits for it")
    if checkpoint.standing(wake_up) is Standing.BEHIND:  # what should have followed it was perhaps never sent
        await send_current(checkpoint, services)
        return Outcome("resent", now_at=checkpoint.next_seq)
    try:
        return await _replay_or_park(checkpoint, letter, services)
    except Conflict:
        return Outcome("dropped", reason="the run has moved on")


async def _replay_or_park(checkpoint: Checkpoint, letter: Letter, services: Services) -> Outcome:
    failed = checkpoint.failures > 0  # since the last page; what went wrong before that says nothing of this letter
    kind = (checkpoint.last_error_kind if failed else None) or ErrorKind.UNKNOWN
    policy = POLICY[kind]
    if isinstance(policy, Park) or checkpoint.replays >= policy.times:
        told = f"dead-lettered: {letter.reason} {letter.description}".strip()
        error = (checkpoint.last_error if failed else "") or told
        await park(checkpoint, str(kind), kind, error, services)
        return Outcome("parked", reason=kind, error=error)
    seconds = policy.after * 2**checkpoint.replays
    now = services.now()
    written = await write_and_send(checkpoint.replayed(now, now + timedelta(seconds=seconds)), services)
    return Outcome("replayed", reason=kind, seconds=seconds, replays=written.replays)


async def _deliver_later(wake_up: WakeUp, _: Letter, services: Services) -> Outcome:
    """Committed pages are never given up: delivery comes back as long as there are any."""
    if not await services.checkpoints.has_pages(wake_up.key):
        return Outcome("dropped", reason="nothing to deliver")
    delivery = await services.deliveries.read(wake_up.key)
    seconds = min(900.0, 30.0 * 2 ** min(delivery.failures, 5))
    await deliver_again(wake_up, services, services.now() + timedelta(seconds=seconds))
    return Outcome("replayed", reason=delivery.last_error_kind or ErrorKind.UNKNOWN, seconds=seconds)


async def _again_later(letter: Letter, services: Services) -> None:
    """Back to its own queue, unjudged, under a new id: storage, which holds the evidence, is away."""
    message_id = f"{letter.message_id[:100]}~{int(services.random() * 16**8):08x}"
    await services.broker.send([Outgoing(letter.queue, letter.body, message_id, services.now() + STORAGE_WAIT)])

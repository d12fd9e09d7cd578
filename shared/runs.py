"""Steps of a run that take more than one write: each is safe to be cut off after any of them.

The checkpoint is written first and the message sent second. Cut off in between, the wake-up that is still in the
queue finds itself behind and sends the message again; with no wake-up left, the reconciler does.
"""

from datetime import datetime, timedelta

from shared.adapters.open_run_table import OpenRun
from shared.adapters.parked_table import Parked
from shared.checkpoint import Checkpoint
from shared.errors import ErrorKind
from shared.messages import WakeUp
from shared.services import Services

LONGEST_ERROR = 500


async def send_current(checkpoint: Checkpoint, services: Services, ahead: timedelta = timedelta(0)) -> None:
    """The wake-up this checkpoint waits for, under its own id: a duplicate is dropped, a missing one is not.

    For a run that is done, the wake-up of its delivery. `ahead` is how far the broker's clock is ahead of ours.
    """
    if checkpoint.is_open:
        at = _later(checkpoint.not_before, services)
        await services.send(checkpoint.wake_up(), checkpoint.priority, at + ahead if at else None)
    elif checkpoint.records:
        await services.send(checkpoint.delivery_wake_up())


async def postpone(
    checkpoint: Checkpoint, until: datetime, services: Services, ahead: timedelta = timedelta(0)
) -> Checkpoint:
    """The same page at `until`, under a new message id. Raises Conflict."""
    return await write_and_send(checkpoint.postponed(services.now(), until), services, ahead)


async def write_and_send(checkpoint: Checkpoint, services: Services, ahead: timedelta = timedelta(0)) -> Checkpoint:
    """Raises Conflict if the checkpoint changed since it was read."""
    written = await services.checkpoints.replace(checkpoint)
    await send_current(written, services, ahead)
    return written


async def park(
    checkpoint: Checkpoint, reason: str, kind: ErrorKind | None, error: str, services: Services
) -> Checkpoint:
    """Stop the run where it stands and show it to somebody; what was committed is still delivered. Raises Conflict."""
    wake_up, now = checkpoint.wake_up(), services.now()
    parked = checkpoint.parked(now, reason, kind, error[:LONGEST_ERROR])
    await services.parked.put(
        Parked(
            id=parked_id(checkpoint),
            queue=services.queue_of(wake_up, checkpoint.priority),
            body=wake_up.encode(),
            reason=reason,
            error=error[:LONGEST_ERROR],
            parked_at=now,
            pipeline=checkpoint.key.pipeline,
            stream=checkpoint.key.stream,
            user=checkpoint.key.user,
            run=checkpoint.run,
        )
    )
    written = await services.checkpoints.replace(parked)
    if written.records:
        await services.send(written.delivery_wake_up())
    return written


async def resume(checkpoint: Checkpoint, services: Services) -> Checkpoint:
    """A parked run goes on from the page where it stopped. Raises Conflict."""
    now = services.now()
    await services.open_runs.add(OpenRun(checkpoint.key, checkpoint.run, now))
    resumed = await write_and_send(checkpoint.resumed(now), services)
    await services.parked.remove(parked_id(checkpoint))
    return resumed


async def cancel(checkpoint: Checkpoint, reason: str, services: Services) -> Checkpoint:
    """End a run for good: wake-ups that are still under way find it ended. What was committed is still delivered.

    Raises Conflict.
    """
    written = await services.checkpoints.replace(checkpoint.cancelled(services.now(), reason))
    await services.parked.remove(parked_id(checkpoint))
    if written.records:
        await services.send(written.delivery_wake_up())
    return written


async def deliver_again(wake_up: WakeUp, services: Services, at: datetime | None = None) -> None:
    """A new delivery wake-up for a stream and user, under a new message id. Raises Conflict."""
    delivery = await services.deliveries.read(wake_up.key)
    written = await services.deliveries.write(delivery.postponed(at or services.now()))
    fresh = wake_up.model_copy(update={"kind": "deliver", "attempt": written.attempt})
    await services.send(fresh, at=at)


def parked_id(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.run}/{checkpoint.slice}"


def _later(moment: datetime | None, services: Services) -> datetime | None:
    return moment if moment is not None and moment > services.now() else None

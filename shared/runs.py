"""Steps of a run that take more than one write: each is safe to be cut off after any of them.

The checkpoint is written first and the message sent second. Cut off in between, the wake-up that is still in the
queue finds itself behind and sends the message again; with no wake-up left, the reconciler does.
"""

from datetime import datetime, timedelta

from shared.adapters.open_run_table import OpenRun
from shared.adapters.parked_table import Parked, parked_id
from shared.adapters.service_bus import Outgoing
from shared.chains import begin_children
from shared.checkpoint import WHOLE, Checkpoint, RunState
from shared.errors import Conflict, ErrorKind
from shared.messages import WakeUp
from shared.services import Services
from shared.strands import all_resumed, shared_out, strand_parked

LONGEST_ERROR = 500


async def send_current(checkpoint: Checkpoint, services: Services, ahead: timedelta = timedelta(0)) -> None:
    """The wake-up this checkpoint waits for, under its own id: a duplicate is dropped, a missing one is not.

    For a run that is done, the wake-up of its delivery, and the runs that follow it begin; for one that is mined by
    strands, those of all of them.
    `ahead` is how far the broker's clock is ahead of ours, or less than nothing where it is behind.
    """
    if checkpoint.is_open and checkpoint.strands:
        for strand in await services.checkpoints.strands(checkpoint):
            await send_current(strand, services, ahead)
    elif checkpoint.is_open:
        await services.broker.send([current_wake_up(checkpoint, services, ahead)])
    else:
        if checkpoint.records:
            await services.send(checkpoint.delivery_wake_up())
        run = checkpoint if checkpoint.slice == WHOLE else await services.checkpoints.read(checkpoint.key)
        if run is not None and run.run == checkpoint.run:
            await begin_children(run, services)


def current_wake_up(checkpoint: Checkpoint, services: Services, ahead: timedelta = timedelta(0)) -> Outgoing:
    """The message that an open checkpoint waits for, scheduled if its time has not come; always under the same id.

    A broker that is behind counts only where slots are held. There, too early is better than too late; whoever merely
    waits would come twice for what may be a long queue, not a clock.
    """
    at = _later(checkpoint.not_before, services)
    ahead = ahead if checkpoint.slots else max(timedelta(0), ahead)
    return services.outgoing(checkpoint.wake_up(), checkpoint.priority, at + ahead if at else None)


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
            id=parked_id(checkpoint.run, checkpoint.slice),
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
    written = await _write_parked(parked, reason, kind, error, services)
    if written.records:
        await services.send(written.delivery_wake_up())
    return written


async def _write_parked(
    parked: Checkpoint, reason: str, kind: ErrorKind | None, error: str, services: Services
) -> Checkpoint:
    """A strand that is parked is missed in the ledger of its run. Raises Conflict."""
    if parked.slice == WHOLE:
        return await services.checkpoints.replace(parked)
    ledger = await _ledger_of(parked, services)
    missed = strand_parked(ledger, services.now(), reason, kind, error[:LONGEST_ERROR])
    _, written = await services.checkpoints.replace_all([missed, parked])
    return written


async def _ledger_of(strand: Checkpoint, services: Services) -> Checkpoint:
    """Raises Conflict where the run of this strand does not go on."""
    ledger = await whole_run(strand, services)
    if not ledger.is_open:
        raise Conflict("the run of this strand does not go on")
    return ledger


async def leave_out(checkpoint: Checkpoint, kind: ErrorKind, error: str, services: Services) -> None:
    """The current slice is given up, the run goes on with the next one. Raises Conflict."""
    now = services.now()
    if checkpoint.slice == WHOLE:
        await write_and_send(checkpoint.gave_up(now, kind, error), services)
        return
    ledger, strand = shared_out(await _ledger_of(checkpoint, services), checkpoint.gave_up(now, kind, error), now)
    strand, ledger = await services.checkpoints.replace_all([strand, ledger])
    await send_current(strand, services)
    if not ledger.is_open:
        await send_current(ledger, services)


async def fail(checkpoint: Checkpoint, kind: ErrorKind, error: str, services: Services) -> None:
    """The whole run is over; what was committed is still delivered. Raises Conflict."""
    run = checkpoint if checkpoint.slice == WHOLE else await _ledger_of(checkpoint, services)
    await write_and_send(run.ended_as_failed(services.now(), kind, error), services)


async def resume(checkpoint: Checkpoint, services: Services, at: datetime | None = None) -> Checkpoint:
    """A parked run goes on from the pages where it stopped, a partial one with what it left out; now, or `at` a later
    moment. Raises Conflict."""
    now, ledger = services.now(), await whole_run(checkpoint, services)
    await services.open_runs.add(OpenRun(checkpoint.key, checkpoint.run, now))
    if ledger.parked_strands:
        return await _resume_strands(ledger, at or now, services)
    id_ = parked_id(checkpoint.run, checkpoint.slice)
    shown = await services.parked.version(id_)
    resumed = await write_and_send(checkpoint.resumed(now, at or now), services)
    await services.parked.remove_version(id_, shown)
    return resumed


async def whole_run(checkpoint: Checkpoint, services: Services) -> Checkpoint:
    """The checkpoint of the run, of which this may be one of a strand. Raises Conflict where another run goes on."""
    if checkpoint.slice == WHOLE:
        return checkpoint
    ledger = await services.checkpoints.read(checkpoint.key)
    if ledger is None or ledger.run != checkpoint.run or ledger.is_over:
        raise Conflict("the run of this strand is over")
    return ledger


async def _resume_strands(ledger: Checkpoint, at: datetime, services: Services) -> Checkpoint:
    now = services.now()
    waiting = [each for each in await services.checkpoints.strands(ledger) if each.state is RunState.PARKED]
    going_on = [strand.resumed(now, at) for strand in waiting]
    shown = {strand.slice: await services.parked.version(parked_id(strand.run, strand.slice)) for strand in waiting}
    written = await services.checkpoints.replace_all([all_resumed(ledger, now), *going_on])
    for strand in written[1:]:
        await send_current(strand, services)
        await services.parked.remove_version(parked_id(strand.run, strand.slice), shown[strand.slice])
    return written[0]


async def cancel(checkpoint: Checkpoint, reason: str, services: Services) -> Checkpoint:
    """End a run for good: wake-ups that are still under way find it ended. What was committed is still delivered.

    Raises Conflict.
    """
    written = await services.checkpoints.replace(checkpoint.cancelled(services.now(), reason))
    strands = await services.checkpoints.strands(checkpoint) if checkpoint.strands else []
    for each in (checkpoint, *strands):
        await services.parked.remove(parked_id(each.run, each.slice))
    if written.records:
        await services.send(written.delivery_wake_up())
    return written


async def deliver_again(wake_up: WakeUp, services: Services, at: datetime | None = None) -> None:
    """A new delivery wake-up for a stream and user, under a new message id. Raises Conflict."""
    delivery = await services.deliveries.read(wake_up.key)
    written = await services.deliveries.write(delivery.postponed(at or services.now()))
    fresh = wake_up.model_copy(update={"kind": "deliver", "attempt": written.attempt})
    await services.send(fresh, at=at)


def _later(moment: datetime | None, services: Services) -> datetime | None:
    return moment if moment is not None and moment > services.now() else None

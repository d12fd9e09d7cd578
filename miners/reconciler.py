"""The reconciler: every open run without progress gets a new wake-up; ended runs leave the index of open runs.

Where queues are long, progress takes as long: a wake-up that merely waits must not be replaced by one behind it, or
nobody would ever be served.

Whatever was lost (a wake-up, a delivery, the last step of anything) is healed here, so nothing else has to be
perfect.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from miners.scheduler import start_run
from processors.folding import fold_index
from shared.adapters.open_run_table import OpenRun
from shared.adapters.service_bus import Outgoing
from shared.chains import begin_children, have_begun
from shared.checkpoint import Checkpoint, RunState
from shared.errors import BrokerUnavailable, Conflict, StorageError
from shared.outcome import Outcome
from shared.runs import deliver_again, postpone
from shared.services import Services

AT_ONCE = 8
TIME_BOX = timedelta(seconds=50)


async def reconcile(services: Services) -> Outcome:
    """Look at every run in the index once, as far as the time box goes; each minute begins elsewhere."""
    now = services.now()
    deadline, minute = now + TIME_BOX, int(now.timestamp() // 60)
    counts: Counter[str] = Counter()
    running: set[asyncio.Task[tuple[str, ...]]] = set()
    patience = await Patience.of(services)
    async for open_run in services.open_runs.all(first=minute):
        running.add(asyncio.create_task(_look_at(open_run, services, patience)))
        if len(running) >= AT_ONCE:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            counts.update(word for task in done for word in task.result())
        if services.now() > deadline:
            break
    counts.update(word for words in await asyncio.gather(*running) for word in words)
    outcome = Outcome("reconciled", **dict(sorted(counts.items())))
    return outcome.as_warning() if counts["overlong"] else outcome


@dataclass(frozen=True, slots=True)
class Patience:
    """How long nothing may happen before something must have been lost: a while, and as long as messages wait."""

    usual: timedelta
    waits: Mapping[str, timedelta]

    @staticmethod
    async def of(services: Services) -> "Patience":
        usual = timedelta(seconds=services.settings.reconcile_after_seconds)
        return Patience(usual, await services.backlog.waits(services.now() - usual))

    def in_queue(self, queue: str) -> timedelta:
        return self.usual + self.waits.get(queue, timedelta(0))


async def _look_at(open_run: OpenRun, services: Services, patience: Patience) -> tuple[str, ...]:
    """What was done about one run, in one word, and behind it whether it is overlong."""
    try:
        checkpoint = await services.checkpoints.read(open_run.key)
        if checkpoint is not None and checkpoint.is_open:
            return await _while_it_runs(checkpoint, services, patience), *_overlong(checkpoint, services)
        if checkpoint is None or checkpoint.run < open_run.run:
            return (await _before_the_beginning(open_run, checkpoint, services, patience),)
        return (await _after_the_end(open_run, checkpoint, services, patience),)
    except Conflict:
        return ("moving",)
    except (StorageError, BrokerUnavailable):  # the others are looked at all the same
        return ("failed",)


def _overlong(checkpoint: Checkpoint, services: Services) -> tuple[str, ...]:
    most = timedelta(hours=services.settings.overlong_hours)
    return ("overlong",) if checkpoint.is_overlong(services.now(), most) else ()


async def _while_it_runs(checkpoint: Checkpoint, services: Services, patience: Patience) -> str:
    """Whichever run the row of the index names: a late write may have put an older one there."""
    standing = await services.checkpoints.strands(checkpoint) if checkpoint.strands else [checkpoint]
    overdue = [each for each in standing if each.is_open and _overdue(each, services, patience)]
    if not overdue:
        return "moving"
    for each in overdue:
        await postpone(each, services.now(), services)
    return "woken"


def _overdue(checkpoint: Checkpoint, services: Services, patience: Patience) -> bool:
    """Nothing has happened since it was last written, or should have happened, for too long."""
    last = max(filter(None, (checkpoint.updated_at, checkpoint.not_before, checkpoint.started_at)))
    queue = services.queue_of(checkpoint.wake_up(), checkpoint.priority)
    return services.now() - last > patience.in_queue(queue)


async def _before_the_beginning(
    open_run: OpenRun, earlier: Checkpoint | None, services: Services, patience: Patience
) -> str:
    """The index row is written before the checkpoint: a young one may only be early, an old one was cut off.

    What it names is begun then. A row that is merely removed would be missing should the scheduler, held up for so
    long, go on. `earlier` is the checkpoint of the run before.
    """
    if services.now() - open_run.since <= patience.usual:
        return "moving"
    wake_up = await _begun(open_run, services)
    if wake_up is not None:
        await services.broker.send([wake_up])
        return "begun"
    if earlier is not None:
        return await _after_the_end(open_run, earlier, services, patience)
    await services.open_runs.remove(open_run)
    return "closed"


async def _begun(open_run: OpenRun, services: Services) -> Outgoing | None:
    """The first wake-up of a run that the scheduler did not come to begin; None where it can't be begun."""
    pipeline = services.pipelines.get(open_run.key.pipeline)
    stream = pipeline.stream(open_run.key.stream) if pipeline else None
    user = await services.users.get(open_run.key.user)
    if pipeline is None or stream is None or user is None:
        return None
    if stream.parent is not None:
        return await _begun_behind(stream.parent.stream, open_run, services)
    return await start_run(pipeline, stream, user, open_run.run, services, open_run.extent)


async def _begun_behind(parent: str, open_run: OpenRun, services: Services) -> Outgoing | None:
    """The same of a run that follows one of its parent's."""
    before = await services.checkpoints.read(replace(open_run.key, stream=parent))
    children = await begin_children(before, services) if before is not None else []
    for child in children:
        if (child.key, child.run) == (open_run.key, open_run.run) and child.is_open:
            return services.outgoing(child.wake_up(), child.priority)
    return None


async def _after_the_end(open_run: OpenRun, checkpoint: Checkpoint, services: Services, patience: Patience) -> str:
    """An ended run is closed when its last page is delivered and those that follow it have begun."""
    if not await services.checkpoints.has_pages(open_run.key):
        if not await have_begun(checkpoint, services):
            return "moving"
        touched = await _touched(checkpoint, services)
        await _tidy_index(touched, services)
        await services.open_runs.remove(open_run)
        return "closed"
    delivery = await services.deliveries.read(open_run.key)
    last = max(filter(None, (checkpoint.updated_at, delivery.not_before, checkpoint.started_at)))
    if services.now() - last <= patience.in_queue(services.settings.queue_deliver):
        return "moving"
    await deliver_again(checkpoint.delivery_wake_up(), services)
    return "delivery_woken"


async def _touched(checkpoint: Checkpoint, services: Services) -> Checkpoint:
    """The same, anew, if the run may go on: whoever resumes it has written its row, perhaps this one, and then writes
    the checkpoint that they read before. They are refused, and nobody is left with a run that has no row. Raises
    Conflict."""
    return checkpoint if checkpoint.state is RunState.DONE else await services.checkpoints.replace(checkpoint)


async def _tidy_index(checkpoint: Checkpoint, services: Services) -> None:
    """A stream that emits all keeps its dedupe index for one run only; a parked one may go on. Raises Conflict."""
    pipeline = services.pipelines.get(checkpoint.key.pipeline)
    stream = pipeline.stream(checkpoint.key.stream) if pipeline else None
    if stream is None or checkpoint.state is RunState.PARKED:
        return
    if stream.emit == "all":
        await services.checkpoints.forget_index(checkpoint.key, checkpoint.index)
    else:
        await fold_index(checkpoint, services)

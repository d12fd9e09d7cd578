"""Chains: the runs that follow a run, of the streams that it feeds. Each step is safe to be cut off after any write.

What a run passes along is committed with its pages. When it has ended, the streams that it feeds get runs of the same
moment; each record that was passed along is a slice of theirs. Nothing need be sent for that: whoever finds that a
run has ended sees to it that those that follow it have begun, be it the miner of its last page, that page's message
when it comes again, the reconciler or the scheduler.
"""

import contextlib

from shared.adapters.open_run_table import OpenRun
from shared.adapters.parked_table import parked_id
from shared.checkpoint import WHOLE, Checkpoint, RunState
from shared.errors import AlreadyExists, Conflict
from shared.messages import StreamKey
from shared.pipeline.chains import decoded_counts
from shared.pipeline.slices import Plan
from shared.pipeline.spec import Pipeline, Stream
from shared.services import Services
from shared.strands import strand_id

FOLLOWED = frozenset({RunState.DONE, RunState.PARTIAL})
"""States of a run after which the streams that it feeds get their runs."""


def run_after(run: str, key: StreamKey) -> str:
    """The id that a run of the same moment has for another stream of the same user."""
    return f"{run.partition('-')[0]}-{key.digest()}"


async def begin_children(parent: Checkpoint, services: Services) -> list[Checkpoint]:
    """The runs that follow this one, each begun unless it was; as they stand then.

    One that is not there, or an earlier one in its place, could not begin yet.
    """
    pipeline = services.pipelines.get(parent.key.pipeline)
    if pipeline is None or parent.state not in FOLLOWED:
        return []
    return [await _begun(parent, child, pipeline, services) for child in pipeline.children(parent.key.stream)]


async def have_begun(parent: Checkpoint, services: Services) -> bool:
    """Whether every run that follows this one has begun; those that had not are begun, where that can be."""
    return all(child.run >= run_after(parent.run, child.key) for child in await begin_children(parent, services))


async def following(run: Checkpoint, services: Services) -> list[Checkpoint]:
    """All runs that follow this one, those that follow them included."""
    found = []
    for child in await begin_children(run, services):
        found.append(child)
        if child.run == run_after(run.run, child.key):
            found += await following(child, services)
    return found


async def _begun(parent: Checkpoint, stream: Stream, pipeline: Pipeline, services: Services) -> Checkpoint:
    """The run of this stream as it stands, begun by us or by somebody else."""
    key = StreamKey(parent.key.pipeline, stream.name, parent.key.user)
    run = run_after(parent.run, key)
    while True:
        existing = await services.checkpoints.read(key)
        if existing is not None and (existing.run > run or (existing.run < run and existing.is_open)):
            return existing
        with contextlib.suppress(Conflict, AlreadyExists):
            return await _brought_up(parent, existing, key, run, stream, pipeline, services)


async def _brought_up(
    parent: Checkpoint,
    existing: Checkpoint | None,
    key: StreamKey,
    run: str,
    stream: Stream,
    pipeline: Pipeline,
    services: Services,
) -> Checkpoint:
    """The run at its beginning, or as far as it was; it goes on where the parent has passed along more. Raises
    Conflict or AlreadyExists where somebody else was first."""
    now, passed = services.now(), decoded_counts(parent.passed_on).get(stream.name, 0)
    if existing is not None and existing.run == run:
        return await _goes_on(existing, passed, stream, services)
    await services.open_runs.add(OpenRun(key, run, now))
    plan = _plan(stream, 0, passed)
    if existing is None:
        fresh = Checkpoint.begin(key, run, now, pipeline.priority, index=run).asking_for(plan, anew=parent.anew)
        begun = await services.checkpoints.insert(fresh if passed else fresh.ended(now))
    else:
        index = run if stream.emit == "all" or parent.anew else existing.index
        again = existing.begin_again(run, now, pipeline.priority, index).asking_for(plan, anew=parent.anew)
        begun = await services.checkpoints.replace(again if passed else again.ended(now))
        await _forget(existing, begun, services)
    return await _sent_on(begun, services)


async def _goes_on(existing: Checkpoint, passed: int, stream: Stream, services: Services) -> Checkpoint:
    known = Plan.decode(existing.plan).parents or 0
    if existing.state in FOLLOWED and known < passed:
        more = existing.going_on(_plan(stream, known, passed), services.now())
        await services.open_runs.add(OpenRun(existing.key, existing.run, services.now()))
        return await _sent_on(await services.checkpoints.replace(more), services)
    if existing.is_open and existing.next_seq == existing.attempt == 0:  # its first wake-up may never have been sent
        return await _sent_on(existing, services)
    return existing


async def _sent_on(begun: Checkpoint, services: Services) -> Checkpoint:
    if begun.is_open:
        await services.send(begun.wake_up(), begun.priority)
    else:
        await begin_children(begun, services)
    return begun


async def _forget(before: Checkpoint, begun: Checkpoint, services: Services) -> None:
    """What belonged to the run before only."""
    if before.index != begun.index and before.index_position:
        await services.checkpoints.forget_index(before.key, before.index)
    await services.checkpoints.forget_passed(before.key, begun.run)
    if before.state is RunState.PARKED:
        for slice_ in (WHOLE, *map(strand_id, range(1, before.strands + 1))):
            await services.parked.remove(parked_id(before.run, slice_))


def _plan(stream: Stream, known: int, passed: int) -> Plan:
    """The slices of what was passed along, as far as they are not known from an earlier plan."""
    size = stream.parent.batch_size if stream.parent is not None else 1
    return Plan(base=known, each=size, parents=passed)

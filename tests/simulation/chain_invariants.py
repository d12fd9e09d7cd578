"""What must hold of chains: nothing before its parent, nothing after the end, nothing left out."""

import json

import zstandard

from shared.adapters.checkpoint_table import passed_key, to_checkpoint
from shared.chains import FOLLOWED, run_after
from shared.checkpoint import WHOLE, Checkpoint, RunState
from shared.messages import StreamKey
from tests.simulation.chains import beside, links
from tests.simulation.history import WatchedTable
from tests.simulation.simulation import Invariant, Simulation, Violation
from tests.simulation.workload import depth_of

Standing = dict[StreamKey, Checkpoint]


async def chains_end_with_their_last_descendant(simulation: Simulation) -> None:
    """A run begins when that of its parent has ended well; the next of the whole chain when all of them are over."""
    if not simulation.workload.chained:
        return
    standing: Standing = {}
    for change in simulation.tables["streams"].changes:
        if change.after.key != f"checkpoint|{WHOLE}":
            continue
        begun, before = to_checkpoint(change.after), standing.get(to_checkpoint(change.after).key)
        if before is None or before.run != begun.run:
            _check_beginning(begun, before, standing, simulation.workload.chained)
        standing[begun.key] = begun


def _check_beginning(begun: Checkpoint, before: Checkpoint | None, standing: Standing, chained: int) -> None:
    depth = depth_of(begun.key.stream)
    if depth:
        above = standing.get(beside(begun.key, depth - 1))
        if above is None or above.state not in FOLLOWED or run_after(above.run, begun.key) != begun.run:
            raise Violation(f"{begun.key} has begun {begun.run} while its parent is {above and above.state}")
    elif before is not None:
        for above, below in links(before, standing, chained):
            if below is None or below.is_open or below.state is RunState.PARKED:
                raise Violation(f"{begun.key} has begun again while the chain below {above.key} goes on")


def parents_of(checkpoint: Checkpoint, streams: WatchedTable) -> list[object]:
    """The ids of the parent's records that the slice of this checkpoint is made of."""
    above = beside(checkpoint.key, depth_of(checkpoint.key.stream) - 1)
    run, found = run_after(checkpoint.run, above), dict[int, object]()
    for change in streams.passed:
        prefix = passed_key(run, checkpoint.key.stream, 0).rpartition("|")[0]
        if change.after.key.rpartition("|")[0] == prefix:
            values = json.loads(zstandard.ZstdDecompressor().decompress(change.after.values["data00"]))
            first = int(change.after.key.rpartition("|")[2]) + 1 - len(values)
            found |= {first + place: each["id"] for place, each in enumerate(values)}
    return [found.get(number, "nobody") for number in checkpoint.current.parents]


CHAIN_INVARIANTS: tuple[Invariant, ...] = (chains_end_with_their_last_descendant,)

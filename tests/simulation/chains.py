"""How chains of runs stand."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.chains import FOLLOWED, run_after
from shared.checkpoint import Checkpoint
from shared.messages import StreamKey
from tests.simulation.workload import depth_of, kind_of, stream_below

Standing = Mapping[StreamKey, Checkpoint]


def beside(key: StreamKey, depth: int) -> StreamKey:
    """The stream of the same chain that is so many steps below the top."""
    return replace(key, stream=stream_below(kind_of(key.stream), depth))


def links(top: Checkpoint, standing: Standing, chained: int) -> list[tuple[Checkpoint, Checkpoint | None]]:
    """Each run of the chain with the one that follows it, as far as there should be one; None: it has not begun."""
    found, above = list[tuple[Checkpoint, Checkpoint | None]](), top
    for depth in range(1, chained + 1):
        if above.state not in FOLLOWED:
            break
        below = standing.get(beside(top.key, depth))
        if below is None or below.run != run_after(above.run, below.key):
            return [*found, (above, None)]
        found.append((above, below))
        above = below
    return found


def goes_on(checkpoints: Iterable[Checkpoint], chained: int) -> bool:
    """Whether some run below one that has ended well is not over, or has not begun."""
    standing = {each.key: each for each in checkpoints}
    tops = [each for each in standing.values() if not depth_of(each.key.stream)]
    return any(below is None or below.is_open for top in tops for _, below in links(top, standing, chained))

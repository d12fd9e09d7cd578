"""`python -m tests.simulation`: simulate a range of seeds on all cores, or show one.

python -m tests.simulation --seeds 0-10000
python -m tests.simulation --seed 167
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.invariants import INVARIANTS
from tests.simulation.simulation import Simulation, Violation
from tests.simulation.workloads import chosen, simulate

PORTION = 200


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seeds", metavar="FROM-TO", help="a range, the last one excluded")
    which.add_argument("--seed", type=int, help="one seed: print what happened in it")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return show(arguments.seed)
    first, _, last = arguments.seeds.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        parser.error(f"--seeds: found {arguments.seeds!r}, allowed: such as 0-10000")
    return run_range(range(int(first), int(last)))


def show(seed: int) -> int:
    """Print the faults of one seed in order, and how it ended."""
    workload, climate = chosen(seed)
    simulation = Simulation(seed, workload, climate, invariants=INVARIANTS)
    print(f"seed {seed}: {workload.name}; {climate}")
    violation = ""
    try:
        simulation.run()
    except Violation as found:
        violation = str(found)
    print("\n".join(simulation.weather.trace))
    print(violation or "every promise kept")
    return 1 if violation else 0


def run_range(seeds: range) -> int:
    """Print each violation as it is found, progress, and a summary to add to the reliability report."""
    started, done, broken = time.monotonic(), 0, 0
    with ProcessPoolExecutor() as pool:
        for portion in pool.map(run_portion, list(portions(seeds))):
            done += min(PORTION, len(seeds) - done)
            for line in portion:
                broken += 1
                print(line, flush=True)
            if sys.stderr.isatty():
                print(f"\r{done:,} of {len(seeds):,} seeds", end="", file=sys.stderr)
    seconds = time.monotonic() - started
    pace = f"{len(seeds) / seconds:.0f} a second on {os.cpu_count()} cores"
    print(f"\nseeds {seeds.start}-{seeds.stop}: {broken} violations, {pace}")
    return 1 if broken else 0


def run_portion(seeds: range) -> list[str]:
    return [line for line in map(outcome_of, seeds) if line]


def outcome_of(seed: int) -> str:
    try:
        simulate(seed)
    except Violation as violation:
        return f"seed {seed}: {violation}; see it again with: make simulate SEED={seed}"
    return ""


def portions(seeds: range) -> Iterator[range]:
    for first in range(seeds.start, seeds.stop, PORTION):
        yield range(first, min(first + PORTION, seeds.stop))


if __name__ == "__main__":
    sys.exit(main())

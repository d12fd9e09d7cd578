"""Simulate seeds on all cores, look at one, or see every known mistake caught.

python -m tests.simulation --seeds 0-10000     a range; ranges can be added up
python -m tests.simulation --seed 167          one: its faults, or the shortest story of what it breaks
python -m tests.simulation --mutants           after how many seeds each known mistake is caught
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.invariants import INVARIANTS
from tests.simulation.mutants import MOST_SEEDS, MUTANTS, hunt
from tests.simulation.shrinking import report
from tests.simulation.simulation import Simulation, Violation
from tests.simulation.workload import as_written
from tests.simulation.workloads import simulate, simulation_of

PORTION = 100
MOST_EXPLAINED = 3
"""Broken seeds that are explained at once; the others name the command that explains them."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seeds", metavar="FROM-TO", help="a range, the last one excluded")
    which.add_argument("--seed", type=int, help="one seed: print what happened in it")
    which.add_argument("--mutants", action="store_true", help="switch on each known mistake and count")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return show(arguments.seed)
    if arguments.mutants:
        return run_mutants()
    first, _, last = arguments.seeds.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        parser.error(f"--seeds: found {arguments.seeds!r}, allowed: such as 0-10000")
    return run_range(range(int(first), int(last)))


def show(seed: int) -> int:
    """Print the faults of one seed in order; of one that breaks a promise, the shortest story instead."""
    simulation = simulation_of(seed)
    print(f"seed {seed}: {as_written(simulation.workload)}\n{as_written(simulation.climate)}")
    try:
        simulation.run()
    except Violation as violation:
        print("\n".join(explained(simulation, violation)))
        return 1
    for strike in simulation.weather.struck:
        print(
            f"  {strike.what} {strike.point} ({strike.number})" + (f" {strike.seconds:.2f} s" if strike.seconds else "")
        )
    outcomes = ", ".join(f"{function} {what} {count}" for (function, what), count in simulation.outcomes.items())
    print(f"{outcomes}\nevery promise kept, in {simulation.loop.time() / 60:.0f} minutes of its time")
    return 0


def run_range(seeds: range) -> int:
    """Print each violation as it is found, progress, and a summary to add to the reliability report."""
    started, done, broken = time.monotonic(), 0, 0
    with ProcessPoolExecutor() as pool:
        try:
            for portion in pool.map(run_portion, portions(seeds)):
                done += min(PORTION, len(seeds) - done)
                for line in portion:
                    broken += 1
                    print(line, flush=True)
                    if broken <= MOST_EXPLAINED:
                        print("\n".join(story_of(line)), flush=True)
                if sys.stderr.isatty():
                    print(f"\r{done:,} of {len(seeds):,} seeds", end="", file=sys.stderr)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            print(f"\ncut short; go on with: make simulate SEEDS={seeds.start + done}-{seeds.stop}")
    pace = f"{done / (time.monotonic() - started):.0f} a second on {os.cpu_count()} cores"
    print(f"\nseeds {seeds.start}-{seeds.start + done}: {broken} violations, {pace}")
    return 1 if broken or done < len(seeds) else 0


def run_mutants() -> int:
    """A table of known mistakes and the seeds it took to catch each."""
    survived = 0
    print("| known mistake | caught at seed | among | what it broke |\n|---|---|---|---|")
    with ProcessPoolExecutor() as pool:
        for mutant, caught in zip(MUTANTS, pool.map(_hunted, range(len(MUTANTS))), strict=True):
            survived += caught is None
            seeds, violation = caught or (f"more than {MOST_SEEDS}", "")
            print(f"| {mutant.name} | {seeds} | {', '.join(mutant.among) or 'all'} | {violation[:90]} |", flush=True)
    print(f"{len(MUTANTS) - survived} of {len(MUTANTS)} known mistakes are caught")
    return 1 if survived else 0


def _hunted(number: int) -> tuple[int, str] | None:
    """A mutant itself does not travel to another process, its number does."""
    return hunt(MUTANTS[number])


def run_portion(seeds: range) -> list[str]:
    return [line for line in map(outcome_of, seeds) if line]


def outcome_of(seed: int) -> str:
    """Empty, or which promise this seed breaks. In another process, so it is text."""
    try:
        simulate(seed)
    except Violation as violation:
        return f"seed {seed}: {violation}; see it again with: make simulate SEED={seed}"
    return ""


def story_of(outcome: str) -> list[str]:
    """The shortest story of a seed that has broken a promise, given what `outcome_of` says of it."""
    simulation = simulation_of(int(outcome.split(":")[0].removeprefix("seed ")))
    try:
        simulation.run()
    except Violation as violation:
        return explained(simulation, violation)
    return ["it does not do so again: something is not decided by the seed"]


def explained(simulation: Simulation, violation: Violation) -> list[str]:
    lines = [f"broken: {violation}"]
    report(simulation, str(violation), INVARIANTS, lines.append)
    return lines


def portions(seeds: range) -> Iterator[range]:
    for first in range(seeds.start, seeds.stop, PORTION):
        yield range(first, min(first + PORTION, seeds.stop))


if __name__ == "__main__":
    sys.exit(main())

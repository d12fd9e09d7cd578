"""The shortest story of a broken promise: fewer faults, a smaller workload, and then every call that was made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from shared.adapters.service_bus import Outgoing
from shared.adapters.tables import Row
from shared.pipeline.access_tokens import TokenRequest
from shared.pipeline.requests import PageRequest
from tests.simulation.broker import Message
from tests.simulation.processes import Process
from tests.simulation.simulation import Invariant, Simulation, Violation
from tests.simulation.weather import Climate, Strike, Tell
from tests.simulation.workload import Workload, as_written
from tests.simulation.workloads import simplified

MOST_RUNS = 400
"""Simulations that shrinking may take: some seconds."""

MOST_TOLD = 200
"""Lines of a story; of a longer one the beginning and the end are told."""

LONGEST = 90
"""Characters of a call's subject."""


@dataclass(frozen=True)
class Story:
    """A run that breaks a promise, in a climate that is calm but for what is dealt on purpose."""

    seed: int
    workload: Workload
    climate: Climate
    strikes: tuple[Strike, ...]
    violation: str = field(default="", compare=False)

    def simulation(self, invariants: tuple[Invariant, ...], tell: Tell | None = None) -> Simulation:
        """Not yet run."""
        return Simulation(self.seed, self.workload, self.climate, self.strikes, invariants, tell)


@dataclass
class Shrinker:
    """Keeps whatever still breaks any promise. `runs` counts the simulations it took."""

    invariants: tuple[Invariant, ...]
    runs: int = 0

    def shrink(self, failed: Simulation, violation: str) -> Story:
        """The strikes that were dealt at random are dealt on purpose, in calm weather; then one by one left out."""
        calm = Climate(until=failed.climate.until)
        found = Story(failed.seed, failed.workload, calm, tuple(failed.weather.struck), violation)
        shorter: Story | None = self._broken(found) or found
        while shorter is not None:
            found = shorter
            shorter = next(filter(None, map(self._broken, self._shorter(found))), None)
        return found

    def _shorter(self, story: Story) -> Iterator[Story]:
        """Large bites first."""
        size = len(story.strikes)
        while size > 0:
            for start in range(0, len(story.strikes), size):
                yield replace(story, strikes=story.strikes[:start] + story.strikes[start + size :])
            size //= 2
        for workload in simplified(story.workload):
            yield replace(story, workload=workload)
        if story.climate.until > 0:
            yield replace(story, climate=Climate(until=0))

    def _broken(self, story: Story) -> Story | None:
        """The story with what it breaks, or None: it breaks nothing, or enough has been tried."""
        if self.runs >= MOST_RUNS:
            return None
        self.runs += 1
        try:
            story.simulation(self.invariants).run()
        except Violation as violation:
            return replace(story, violation=str(violation))
        return None


def told(story: Story, invariants: tuple[Invariant, ...]) -> list[str]:
    """Every call of every port in order, faults marked with stars, and how it ended."""
    lines: list[str] = []

    def tell(process: Process, what: str, subject: Any) -> None:
        if not what.startswith("after"):  # the answer, where nothing came of it
            lines.append(
                f"{simulation.loop.time():9.2f} {process.name:9} {what.removeprefix('before '):44} {of(subject)}"
            )

    simulation = story.simulation(invariants, tell)
    try:
        simulation.run()
    except Violation as violation:
        lines.append(f"{simulation.loop.time():9.2f} broken: {violation}")
    return lines


def of(subject: Any) -> str:
    """What a call is about, in short."""
    match subject:
        case tuple() | list():
            text = ", ".join(filter(None, map(of, subject)))
        case Row():
            facts = {name: subject.values[name] for name in ("state", "next_seq", "attempt") if name in subject.values}
            text = f"{subject.partition} {subject.key}" + "".join(f" {name}={value}" for name, value in facts.items())
        case Outgoing():
            text = f"{subject.queue}: {subject.message_id}" + (f" at {subject.at:%H:%M:%S}" if subject.at else "")
        case Message():
            text = f"{subject.queue}: {subject.outgoing.message_id} (delivery {subject.deliveries})"
        case PageRequest():
            text = subject.url.partition("&access_token")[0]
        case TokenRequest():
            text = subject.url
        case str():
            text = subject
        case _ if hasattr(subject, "row"):
            text = of(subject.row)
        case _:
            text = ""
    return text[:LONGEST]


def replay_of(story: Story) -> str:
    """Python that makes the story again, to be kept as a test."""
    strikes = "".join(f"{as_written(strike)}, " for strike in story.strikes)
    return f"Story({story.seed}, {as_written(story.workload)}, {as_written(story.climate)}, ({strikes}))"


Report = Callable[[str], None]


def report(failed: Simulation, violation: str, invariants: tuple[Invariant, ...], say: Report) -> None:
    """Say everything that helps to understand a failed seed."""
    shrinker = Shrinker(invariants)
    story = shrinker.shrink(failed, violation)
    say(f"the shortest of {shrinker.runs} runs that break a promise: {as_written(story.workload)}")
    lines = told(story, invariants)
    for line in lines if len(lines) <= MOST_TOLD else [*lines[: MOST_TOLD - 5], "    …", *lines[-5:]]:
        say(line)
    say(f"keep it as a test: {replay_of(story)}")
    say(f"see it again: make simulate SEED={failed.seed}")

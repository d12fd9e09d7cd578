"""Latency, crashes and failures, all out of one seed."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.errors import BrokerUnavailable, HeadframeError, OutputUnavailable, StorageUnavailable, TemporaryFailure
from tests.simulation.processes import Process

LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Climate:
    """Probabilities per point, from second `since` until second `until`; before and after, the weather is fine."""

    kill: float = 0.0
    kill_all: float = 0.0
    stall: float = 0.0
    refuse: float = 0.0
    lose_answer: float = 0.0
    since: float = 0.0
    until: float = 900.0


@dataclass(frozen=True)
class Strike:
    """One directed fault: at the `number`th passing of a point."""

    point: str
    number: int
    what: str


def failure_of(call: str) -> HeadframeError:
    """What the adapter behind this port raises when the outside fails."""
    port = call.partition(".")[0]
    errors: dict[str, HeadframeError] = {
        "broker": BrokerUnavailable("simulated"),
        "source": TemporaryFailure("simulated"),
        "output": OutputUnavailable("simulated"),
        "pages": OutputUnavailable("simulated"),
    }
    return errors.get(port, StorageUnavailable("simulated"))


@dataclass
class SeededWeather:
    """`kill_everybody` is what an outage of all workers does. `trace` tells what happened, for a person."""

    rng: random.Random
    climate: Climate
    now: Callable[[], float]
    kill_everybody: Callable[[], None]
    strike: Strike | None = None
    trace: list[str] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)
    faults: int = 0

    async def before(self, process: Process, call: str) -> None:
        await self._point(process, f"before {call}", call)

    async def after(self, process: Process, call: str) -> None:
        await self._point(process, f"after {call}", call)

    async def _point(self, process: Process, point: str, call: str) -> None:
        process.check()
        self.points[point] += 1
        what = self._struck(point) or self._drawn(point)
        await asyncio.sleep(self.rng.random() * 0.05)
        process.check()
        if what is None:
            return
        self.faults += 1
        self.trace.append(f"{self.now():9.2f} {process.name:8} {what:11} {point}")
        if what == "kill":
            process.kill()
        elif what == "kill_all":
            self.kill_everybody()
        elif what == "stall":
            await asyncio.sleep(LOCK_SECONDS * (0.9 + 4 * self.rng.random()))
        else:
            raise failure_of(call)
        process.check()

    def _struck(self, point: str) -> str | None:
        strike = self.strike
        return strike.what if strike and strike.point == point and strike.number == self.points[point] else None

    def _drawn(self, point: str) -> str | None:
        if not self.climate.since <= self.now() < self.climate.until:
            return None
        draw = self.rng.random()
        outcome = "refuse" if point.startswith("before") else "lose_answer"
        chances = {
            "kill": self.climate.kill,
            "kill_all": self.climate.kill_all,
            "stall": self.climate.stall,
            outcome: self.climate.refuse if outcome == "refuse" else self.climate.lose_answer,
        }
        for what, chance in chances.items():
            if draw < chance:
                return what
            draw -= chance
        return None

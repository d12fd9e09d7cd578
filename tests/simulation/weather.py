"""Latency, crashes and failures, all out of one seed."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from shared.errors import BrokerUnavailable, HeadframeError, OutputUnavailable, StorageUnavailable, TemporaryFailure
from tests.simulation.broker import LOCK_SECONDS, WINDOW_SECONDS
from tests.simulation.processes import Process

LATENCY = 0.05
TIME_OUT = 5.0
TURNS = 0.5
"""How often others may come in between an effect and its answer; before an effect they always may."""

BEFORE = ("kill", "kill_all", "stall", "refuse", "late")
AFTER = ("kill", "kill_all", "stall", "lose_answer")
"""What can happen before and after a call takes effect."""


@dataclass(frozen=True)
class Climate:
    """Probabilities per point, from second `since` until second `until`; before and after, the weather is fine.

    `kill` takes one process, `kill_all` every one. `stall` lets time pass (the process goes on as a zombie), `refuse`
    fails a call before its effect, `lose_answer` after it, and `late` lets it take effect when its caller has given
    up. `ports` are those that are struck, all if empty.
    """

    kill: float = 0.0
    kill_all: float = 0.0
    stall: float = 0.0
    refuse: float = 0.0
    lose_answer: float = 0.0
    late: float = 0.0
    since: float = 0.0
    until: float = 300.0
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strike:
    """One fault: at the `number`th passing of a point. `seconds` is how long it takes, where it takes time."""

    point: str
    number: int
    what: str
    seconds: float = 0.0


Tell = Callable[[Process, str, Any], None]
"""Hears of every passing of a point: who, which point (two stars before it where a fault strikes), what about."""


def failure_of(call: str) -> HeadframeError:
    """What the adapter behind this port raises when the outside fails."""
    port = call.partition(".")[0]
    errors: dict[str, HeadframeError] = {
        "broker": BrokerUnavailable("simulated"),
        "source": TemporaryFailure("simulated"),
        "token_endpoint": TemporaryFailure("simulated"),
        "output": OutputUnavailable("simulated"),
        "pages": OutputUnavailable("simulated"),
    }
    return errors.get(port, StorageUnavailable("simulated"))


@dataclass
class SeededWeather:
    """`kill_everybody` is what an outage of all workers does; `tell` hears of every call, where somebody listens.

    `strikes` are dealt besides what the climate draws; `struck` is what happened, so that dealing it again in a calm
    climate repeats the run.
    """

    rng: random.Random
    faults: random.Random
    climate: Climate
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    kill_everybody: Callable[[], None]
    strikes: tuple[Strike, ...] = ()
    tell: Tell | None = None
    points: dict[str, int] = field(default_factory=dict)
    struck: list[Strike] = field(default_factory=list)
    late: set["asyncio.Task[None]"] = field(default_factory=set)
    """Calls that have yet to take effect."""

    def __post_init__(self) -> None:
        self._planned = {(strike.point, strike.number): strike for strike in self.strikes}
        self._before = [(what, getattr(self.climate, what)) for what in BEFORE]
        self._after = [(what, getattr(self.climate, what)) for what in AFTER]

    async def before(self, process: Process, call: str, subject: Any) -> float | None:
        return await self._point(process, f"before {call}", call, subject)

    async def after(self, process: Process, call: str, subject: Any) -> None:
        await self._point(process, f"after {call}", call, subject)

    async def give_up(self, process: Process, call: str, late: Callable[[], Any], seconds: float) -> None:
        task = asyncio.create_task(_take_effect(late, seconds))
        self.late.add(task)
        task.add_done_callback(self.late.discard)
        await asyncio.sleep(TIME_OUT)
        process.check()
        raise failure_of(call)

    async def _point(self, process: Process, point: str, call: str, subject: Any) -> float | None:
        process.check()
        number = self.points.get(point, 0) + 1
        self.points[point] = number
        strike = self._planned.get((point, number)) or self._drawn(point, number, call)
        if strike is not None or point[0] == "b" or self.rng.random() < TURNS:
            await self.pause(self.rng.random() * LATENCY)
            process.check()
        if self.tell is not None:
            self.tell(process, f"** {strike.what} {point}" if strike else point, subject)
        return None if strike is None else await self._strike(strike, process, call)

    async def _strike(self, strike: Strike, process: Process, call: str) -> float | None:
        self.struck.append(strike)
        match strike.what:
            case "kill":
                process.kill()
            case "kill_all":
                self.kill_everybody()
            case "stall":
                await asyncio.sleep(strike.seconds)
            case "late":
                return strike.seconds
            case _:
                raise failure_of(call)
        process.check()
        return None

    def _drawn(self, point: str, number: int, call: str) -> Strike | None:
        climate = self.climate
        if not climate.since <= self.now() < climate.until:
            return None
        if climate.ports and call.partition(".")[0] not in climate.ports:
            return None
        draw = self.faults.random()
        for what, chance in self._before if point[0] == "b" else self._after:
            if draw < chance:
                return Strike(point, number, what, self._seconds(what))
            draw -= chance
        return None

    def _seconds(self, what: str) -> float:
        """A stall is short of its lock, just about as long as a lock or the duplicates' window, or far beyond."""
        draw = self.faults.random()
        if what == "late":
            return draw * 2 * WINDOW_SECONDS
        if what != "stall":
            return 0.0
        choices = (
            LOCK_SECONDS * (0.5 + 4 * draw),
            LOCK_SECONDS + 0.4 * (draw - 0.5),
            WINDOW_SECONDS + 0.4 * (draw - 0.5),
            LOCK_SECONDS + WINDOW_SECONDS + 0.4 * (draw - 0.5),
            3600 * draw,
        )
        return self.faults.choices(choices, weights=(10, 2, 2, 2, 1))[0]


async def _take_effect(late: Callable[[], Awaitable[Any]], seconds: float) -> None:
    await asyncio.sleep(seconds)
    with contextlib.suppress(HeadframeError):  # there is nobody left to tell
        await late()

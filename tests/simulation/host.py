"""What the Functions host does for a worker: receive, invoke, complete or abandon; and the timers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from miners.miner import mine
from miners.reconciler import reconcile
from miners.scheduler import schedule
from processors.compaction import compact
from processors.dead_letters import Letter, handle
from processors.delivery import deliver
from shared.errors import HeadframeError
from shared.outcome import Outcome
from shared.services import Services
from tests.simulation.broker import DEAD, Message, SimulatedBroker
from tests.simulation.processes import Killed, Process, Weather

SLOTS = 2
"""Messages that one process works on at once."""

TIMERS: dict[str, Callable[[Services], Awaitable[Outcome]]] = {
    "schedule": schedule,
    "reconcile": reconcile,
    "compact": compact,
}


class Book(Protocol):
    """Where it is written down what became of each invocation."""

    def ended(self, function: str, outcome: Outcome) -> None: ...

    def crashed(self, function: str, error: Exception) -> None: ...


@dataclass
class Bell:
    """Idle slots wait here."""

    waiting: list[tuple[Process, "asyncio.Future[None]"]] = field(default_factory=list)

    async def wait(self, process: Process) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((process, future))
        await future

    def ring(self, times: int) -> None:
        """Wake as many as there is work for, those that have waited longest."""
        woken, self.waiting = self.waiting[:times], self.waiting[times:]
        for _, future in woken:
            future.set_result(None)

    def dismiss(self, process: Process) -> None:
        """A dead process waits for nothing."""
        for whose, future in self.waiting:
            if whose is process:
                future.set_result(None)
        self.waiting = [each for each in self.waiting if each[0] is not process]


@dataclass
class Worker:
    process: Process
    services: Services
    broker: SimulatedBroker
    weather: Weather
    bell: Bell
    book: Book

    async def serve(self) -> None:
        """One slot; returns when the process is dead."""
        while not self.process.dead:
            message = self.broker.receive()
            if message is None:
                await self.bell.wait(self.process)
                continue
            self.broker.ring()
            await self._one(message, message.lock)

    async def timer(self, name: str) -> None:
        """One invocation of a timer function; an expected failure ends it, as it does in Azure."""
        try:
            self.book.ended(name, await TIMERS[name](self.services))
        except (HeadframeError, Killed):
            return
        except Exception as error:  # noqa: BLE001 - whatever else a handler raises is a defect
            self.book.crashed(name, error)

    async def _one(self, message: Message, lock: int) -> None:
        function = function_of(message.queue, self.services)
        try:
            self.book.ended(function, await self._invoke(message))
            if await self.weather.before(self.process, "host.complete", message) is None:  # or else it never arrives
                self.broker.complete(message, lock)
            await self.weather.after(self.process, "host.complete", message)
        except Killed:
            return
        except HeadframeError:
            self.broker.abandon(message, lock)
        except Exception as error:  # noqa: BLE001 - whatever else a handler raises is a defect
            self.book.crashed(function, error)

    async def _invoke(self, message: Message) -> Outcome:
        outgoing = message.outgoing
        letter = Letter(outgoing.queue, outgoing.body, outgoing.message_id, message.reason, "", message.free_since)
        if message.queue.endswith(DEAD):
            return await handle(letter, self.services)
        if message.queue == self.services.settings.queue_deliver:
            return await deliver(letter, self.services)
        return await mine(letter, self.services, self.process.cache)


def function_of(queue: str, services: Services) -> str:
    """The function of the app that is triggered by a queue."""
    settings: Any = services.settings
    names = ("mine_high", "mine", "mine_low", "deliver")
    function = {getattr(settings, f"queue_{name}"): name for name in names}[queue.removesuffix(DEAD)]
    return f"{function}_dead_letters" if queue.endswith(DEAD) else function

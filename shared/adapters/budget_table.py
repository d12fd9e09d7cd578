"""Budgets, a row for each app and each user of it, shared by all instances.

Requests that ask at the same time in one process are answered by one write: the slower the table, the more of them
share a write. Instances are told apart by If-Match; who was second asks again.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from shared.adapters import keys
from shared.adapters.tables import Row, Table
from shared.errors import AlreadyExists, Conflict, StorageUnavailable
from shared.pipeline.breakers import CLOSED, FAILURES
from shared.pipeline.budgets import Answer, Ask, Budget, Lane, Slot

ROW = "budget"

FRESH = 5.0
"""Seconds; how long an instance may act on what it read last of a budget without limits."""

MOST_KEPT = 10_000
"""Budgets that an instance remembers."""

MOST_LATENCY = 0.25
"""Seconds; a table that answers later than this is no measure."""

TRIES = 8
PAUSE = 0.02
"""Seconds; the longest pause before the second try, twice as long before each further one."""

T = TypeVar("T")
Change = Callable[[Budget], tuple[Budget, Any]]


@dataclass(frozen=True, slots=True)
class BudgetName:
    """Whose budget: that of an app, or of one of its users."""

    app: str
    user: str | None = None

    @property
    def partition(self) -> str:
        """One for each, because a partition takes 2,000 operations a second."""
        return keys.key(self.app) if self.user is None else keys.key(self.app, self.user)


@dataclass(frozen=True, slots=True)
class _Known:
    budget: Budget
    etag: str | None
    read_at: float


@dataclass(slots=True)
class _Counter:
    """Changes that wait for the next write of one row."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[tuple[Change, "asyncio.Future[Any]"]] = field(default_factory=list)


class BudgetTable:
    """`clock` is monotonic seconds, for how fresh a row is; `random` spreads tries."""

    def __init__(
        self,
        table: Table,
        random: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        self._table = table
        self._random = random
        self._clock = clock
        self._sleep = sleep
        self._known: OrderedDict[BudgetName, _Known] = OrderedDict()
        self._counters: dict[BudgetName, _Counter] = {}
        self._failures: OrderedDict[BudgetName, int] = OrderedDict()
        self.latency = 0.0
        """Seconds that a change takes here, about."""

    async def ask(self, name: BudgetName, ask: Ask, now: datetime) -> Answer:
        """Whether the request may be made now, and if not, when. Raises Conflict where too many write at once.

        Without limits, a budget that was read a moment ago is good enough, unless somebody must be the only one.
        """
        moment = now.timestamp()
        if not ask.lanes:
            seen = await self.read(name)
            after, answer = seen.asked(ask, moment)
            if answer.at is not None or after == seen:
                return answer
        return await self._change(name, lambda budget: budget.asked(ask, moment))

    async def release(self, name: BudgetName, lease: str) -> None:
        """The request is over."""
        await self._change(name, lambda budget: (budget.released(lease), None))

    async def give_back(self, name: BudgetName, slots: Mapping[str, tuple[Slot, ...]], lanes: tuple[Lane, ...]) -> None:
        """These slots are not used."""
        await self._change(name, lambda budget: (budget.returned(slots, lanes), None))

    async def block(self, name: BudgetName, until: datetime) -> None:
        """Nobody asks before."""
        moment = until.timestamp()
        await self._change(name, lambda budget: (budget.blocked(moment), None))

    async def succeeded(self, name: BudgetName) -> None:
        """An answer came. Only the first one behind failures that opened the breaker costs a write."""
        self._failures.pop(name, None)
        known = self._known.get(name)
        if known is not None and not known.budget.breaker.is_closed:
            await self._change(name, lambda budget: (_with_breaker(budget, CLOSED), None))

    async def failed(self, name: BudgetName, now: datetime) -> None:
        """No answer came. So many in a row, or one while it is tried whether it works again, open the breaker."""
        count = self._failures.pop(name, 0) + 1
        self._failures[name] = count
        while len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)
        known = self._known.get(name)
        if count >= FAILURES or (known is not None and not known.budget.breaker.is_closed):
            moment = now.timestamp()
            await self._change(name, lambda budget: (_with_breaker(budget, budget.breaker.opened(moment)), None))

    async def read(self, name: BudgetName) -> Budget:
        """As it is in the table, or was a moment ago."""
        known = self._known.get(name)
        if known is None or self._clock() - known.read_at >= FRESH:
            known = await self._read(name)
        return known.budget

    async def _read(self, name: BudgetName) -> _Known:
        row = await self._table.get(name.partition, ROW)
        budget = Budget.decode(str(row.values["budget"])) if row else Budget()
        return self._keep(name, budget, row.etag if row else None)

    def _keep(self, name: BudgetName, budget: Budget, etag: str | None) -> _Known:
        known = self._known[name] = _Known(budget, etag, self._clock())
        self._known.move_to_end(name)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return known

    async def _change(self, name: BudgetName, change: Callable[[Budget], tuple[Budget, T]]) -> T:
        """What `change` finds where the budget stands. It may be asked again, and must change nothing else."""
        counter = self._counters.setdefault(name, _Counter())
        answered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        counter.waiting.append((change, answered))
        async with counter.lock:
            if not answered.done():
                await self._write_waiting(name, counter)
        if not counter.waiting and not counter.lock.locked():
            self._counters.pop(name, None)
        return await answered

    async def _write_waiting(self, name: BudgetName, counter: _Counter) -> None:
        """One write for all that wait by now; what stops it is what each of them is told."""
        waiting, counter.waiting = counter.waiting, []
        try:
            answers = await self._written(name, [change for change, _ in waiting])
        except BaseException as error:
            told = error if isinstance(error, Exception) else StorageUnavailable("the write was given up")
            for _, answered in waiting:
                if not answered.done():
                    answered.set_exception(told)
                    answered.exception()  # who has gone away by now does not come for it
            raise
        for (_, answered), answer in zip(waiting, answers, strict=True):
            if not answered.done():
                answered.set_result(answer)

    async def _written(self, name: BudgetName, changes: list[Change]) -> list[Any]:
        began = self._clock()
        known = self._known.get(name) or await self._read(name)
        for number in range(TRIES):
            budget, answers = known.budget, []
            for change in changes:
                budget, answer = change(budget)
                answers.append(answer)
            if budget == known.budget and self._clock() - known.read_at < FRESH:
                return answers
            row = Row(name.partition, ROW, {"budget": budget.encode()}, known.etag)
            try:
                etag = await (self._table.insert(row) if row.etag is None else self._table.replace(row))
            except (Conflict, AlreadyExists):
                await self._sleep(PAUSE * 2**number * self._random())
                known = await self._read(name)
                continue
            self._keep(name, budget, etag)
            self.latency += (min(MOST_LATENCY, self._clock() - began) - self.latency) / 8
            return answers
        raise Conflict("too many write the same budget at once")


def _with_breaker(budget: Budget, breaker: Any) -> Budget:
    return Budget(budget.booked, budget.leases, budget.blocked_until, breaker)

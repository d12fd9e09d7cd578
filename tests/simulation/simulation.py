"""The real handlers under one seed: processes, broker, tables, output and API in memory and in virtual time."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from miners.scheduler import CURED_BY_TIME, CURED_BY_USER
from shared.adapters import checkpoint_table
from shared.adapters.admission_table import AdmissionTable
from shared.adapters.backlog_table import BacklogTable
from shared.adapters.budget_table import BudgetTable
from shared.adapters.checkpoint_table import CheckpointTable
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.open_run_table import OpenRunTable
from shared.adapters.parked_table import ParkedTable
from shared.adapters.schedule_table import ScheduleTable
from shared.adapters.token_table import TokenTable
from shared.adapters.user_table import UserTable
from shared.checkpoint import WHOLE, Checkpoint, RunState
from shared.errors import Conflict, ErrorKind
from shared.messages import StreamKey
from shared.outcome import Outcome
from shared.runs import resume
from shared.services import TABLES, Services
from tests.fakes.token_server import TokenServer
from tests.fakes.world import START
from tests.simulation.broker import SimulatedBroker
from tests.simulation.chains import goes_on
from tests.simulation.cipher import CIPHER
from tests.simulation.events import EVENTS
from tests.simulation.history import WatchedObjects, WatchedTable
from tests.simulation.host import SLOTS, Bell, Worker
from tests.simulation.processes import Port, Process
from tests.simulation.source import SimulatedApi
from tests.simulation.token_endpoint import SimulatedTokenEndpoint
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.weather import Climate, SeededWeather, Strike, Tell
from tests.simulation.workload import Workload, pipelines_of, settings_of

PATIENCE = timedelta(hours=80)
"""A run whose messages die again and again is replayed twice as late each time: 900 seconds the first, eight times."""

TICKS = timedelta(minutes=10)
"""How often somebody looks whether runs must be asked for again, as a schedule would ask."""

MOST_TICKS = 40
TIMER_SECONDS = 60.0
CURABLE = CURED_BY_TIME | CURED_BY_USER | {ErrorKind.UNKNOWN}


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Simulation:
    """One run of one workload under one seed. `run` raises Violation.

    Each kind of chance has a generator of its own, so that taking one fault away leaves the others' dice as they
    were. `tell` hears of every call of every port.
    """

    seed: int
    workload: Workload
    climate: Climate
    strikes: tuple[Strike, ...] = ()
    invariants: "tuple[Invariant, ...]" = ()
    tell: Tell | None = None
    patience: timedelta = PATIENCE
    said: list[str] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    stops: list[tuple[float, float]] = field(default_factory=list)
    """From second to second, admission was 0."""

    def __post_init__(self) -> None:
        work = self.workload
        self.rng, self._events_rng, faults, api, bus, asked = (
            random.Random(f"{self.seed} {what}") for what in ("time", "events", "faults", "api", "broker", "tokens")
        )
        self.loop = VirtualLoop()
        self.tables = {name: WatchedTable(self.loop.time) for name in TABLES}
        self.pages, self.output, self.second = (WatchedObjects(self.now) for _ in range(3))
        chances = {"duplicate": work.duplicate, "lost": work.lost, "expired": work.expired, "late": work.late}
        self.broker = SimulatedBroker(bus, self.now, **chances, ring=self._ring)
        self.token_server = TokenServer(
            self.loop.time, work.token_life, minted=lambda user, name: f"canary-{user}-{name}-granted"
        )
        self.token_endpoint = SimulatedTokenEndpoint(asked, work, self.token_server)
        self.api = SimulatedApi(api, work, self.loop.time, None if work.auth == "bearer" else self.token_server)
        self._workers: dict[Process, Worker] = {}
        self.bell = Bell()
        self.weather = SeededWeather(
            self.rng,
            faults,
            self.climate,
            self.loop.time,
            self.loop.pause,
            self._kill_everybody,
            self.strikes,
            self.tell,
        )
        self.tokens = {user: [f"canary-{user}-secret-0"] for user in work.names}
        self.revoked: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._crashes: list[str] = []
        self._started = 0
        self._armed = -1.0
        self._tick = START - timedelta(seconds=1)

    @property
    def keys(self) -> list[StreamKey]:
        return self.workload.keys

    @property
    def processes(self) -> list[Process]:
        """Those that live."""
        return list(self._workers)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.loop.time())

    def run(self) -> None:
        """Play to the end and check every invariant. Raises Violation."""
        largest_row = checkpoint_table.LARGEST_ROW
        try:
            checkpoint_table.LARGEST_ROW = 0 if self.workload.large_pages else largest_row
            self.loop.run_until_complete(self._play())
        finally:
            checkpoint_table.LARGEST_ROW = largest_row

    async def _play(self) -> None:
        self.outside = self._services(None)
        await self._add_users()
        for _ in range(self.workload.processes):
            self._spawn(self._supervise())
        self._spawn(self._timers())
        events = [self._spawn(EVENTS[name](self)) for name in self.workload.events]
        try:
            for number in range(self.workload.runs):
                if number:
                    self.api.write(self.keys)
                await self._until_ended()
            await asyncio.gather(*events)
            await self._cure()
            if self._may_have_missed_records():
                await self._until_ended()
                await self._cure()
            await self._until(self._quiet)
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._no_crash()
        for invariant in self.invariants:
            await invariant(self)

    def _may_have_missed_records(self) -> bool:
        """Whether records may stand before the pages of a parked run, or were written while a user was out."""
        work = self.workload
        return bool(work.newest_first or work.windows or (work.written and work.events))

    async def _add_users(self) -> None:
        for user, (token,) in self.tokens.items():
            refused = user in self.workload.refused_users
            self.let_in(user, "canary-nobody-secret" if refused else token)
            await self.outside.users.put(self.workload.user(user, token))

    async def _until_ended(self) -> None:
        """Ask for runs, and again where nothing goes on and somebody could not be started."""
        await self._request()
        await self._until(self._all_ended, self._request)

    async def _cure(self) -> None:
        """Runs that are parked for a reason that passes go on when they are due again, or when somebody says so."""
        for _ in range(MOST_TICKS):
            curable = [each for each in await self.outside.checkpoints.all() if self._is_curable(each)]
            if not curable:
                return
            for checkpoint in curable:
                await self._resume(checkpoint)
            await self._until_ended()
        raise Violation(f"still parked after {MOST_TICKS} ticks: {await self._standing()}")

    async def _resume(self, checkpoint: Checkpoint) -> None:
        if checkpoint.reason == ErrorKind.UNKNOWN or checkpoint.state is RunState.PARTIAL:
            try:
                await resume(checkpoint, self.outside)
            except Conflict:
                return

    def _is_curable(self, checkpoint: Checkpoint) -> bool:
        if self.is_hopeless(checkpoint.key) and (
            checkpoint.reason in CURED_BY_USER or checkpoint.state is RunState.CANCELLED
        ):
            return False
        return checkpoint.state in {RunState.CANCELLED, RunState.PARTIAL} or (
            checkpoint.state is RunState.PARKED and checkpoint.reason in CURABLE
        )

    async def _request(self) -> None:
        """A run for every user of every stream; run ids count in seconds."""
        moment = self.now().replace(microsecond=0)
        self._tick = max(moment, self._tick + timedelta(seconds=1))
        for pipeline in self.workload.priorities:
            for kind in self.workload.kinds:
                await self.outside.schedules.request(pipeline, kind, self._tick)

    async def _until(
        self, condition: Callable[[], Awaitable[bool]], again: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        deadline, next_tick = self.now() + self.patience, self.now() + TICKS
        while not await condition():
            self._no_crash()
            if self.now() > deadline:
                raise Violation(f"not {condition.__name__.strip('_')} within {self.patience}: {await self._standing()}")
            await asyncio.sleep(15)
            if again is not None and self.now() > next_tick:
                next_tick = self.now() + TICKS
                if not any(each.is_open for each in await self.checkpoints()):
                    await again()

    async def _all_ended(self) -> bool:
        """Every user's last run has been started, has ended and is delivered."""
        streams = self.tables["streams"].rows.values()
        if any(row.key.startswith("page|") for row in streams):
            return False
        for row in self.tables["schedules"].rows.values():
            known: dict[str, Any] = row.values
            if "tick" not in known or known["tick"] < known["requested"] or not known["finished"]:
                return False
        states = {
            (str(row.values["pipeline"]), str(row.values["stream"]), str(row.values["user"])): row.values["state"]
            for row in streams
            if row.key == f"checkpoint|{WHOLE}"
        }
        started = all((key.pipeline, key.stream, key.user) in states for key in self.keys if not self.is_hopeless(key))
        if not started or RunState.RUNNING in states.values():
            return False
        return not self.workload.chained or not goes_on(await self.checkpoints(), self.workload.chained)

    async def _quiet(self) -> bool:
        indexed = self.tables["openruns"].rows if self.workload.reconciler else {}
        return not (self.broker.messages or indexed or self.weather.late) and await self._all_ended()

    async def _standing(self) -> str:
        """What is not done, in short."""
        states = [
            f"{each.key} {each.state} at page {each.next_seq} {each.reason}".strip()
            for each in await self.checkpoints()
            if each.state is not RunState.DONE
        ]
        indexed = len(self.tables["openruns"].rows)
        return f"{'; '.join(states)}; {len(self.broker.messages)} messages, {indexed} runs in the index"

    async def _supervise(self) -> None:
        """Process after process, each until it is killed."""
        while True:
            self._started += 1
            process = Process(f"worker{self._started}", self.some_skew(self.workload.skew), self.workload.cache_entries)
            process.bury = lambda buried=process: self._bury(buried)
            worker = Worker(process, self._services(process), self.broker, self.weather, self.bell, self)
            self._workers[process] = worker
            await asyncio.gather(*(worker.serve() for _ in range(SLOTS)))
            await asyncio.sleep(1 + 9 * self.rng.random())

    async def _timers(self) -> None:
        """One scheduler and one reconciler at a time, on any process; now and then two."""
        while True:
            for name in self.workload.timers:
                count = min(len(self._workers), 1 + (self.rng.random() < 0.1))
                for worker in self.rng.sample(list(self._workers.values()), count):
                    self._spawn(worker.timer(name))
            await asyncio.sleep(TIMER_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)
        return task

    def _ended_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crashes.append(f"the simulation itself: {type(error).__name__}: {error}")

    def _ring(self) -> None:
        """Wake whoever can work, now and when the next message becomes available by itself."""
        self.bell.ring(len(self.broker.available()))
        event = self.broker.next_event()
        if event is None:
            return
        at = (event - START).total_seconds()
        if at < self._armed or self._armed <= self.loop.time():
            self._armed = at
            self.loop.call_at(at, self._ring)

    def _bury(self, process: Process) -> None:
        self._workers.pop(process, None)
        self.bell.dismiss(process)
        self._ring()  # somebody else may have to take what it was woken for

    def _kill_everybody(self) -> None:
        for process in self.processes:
            process.kill()

    def _services(self, process: Process | None) -> Services:
        """The services of a process, seen through its ports; of nobody, straight."""

        def port(inner: Any, name: str) -> Any:
            return Port(inner, name, process, self.weather) if process else inner

        def now() -> datetime:
            return START + timedelta(seconds=self.loop.time() + (process.skew if process else 0.0))

        tables = {name: port(table, name) for name, table in self.tables.items()}
        pages = port(self.pages, "pages")
        return Services(
            settings=settings_of(self.workload.settings),
            pipelines=pipelines_of(self.workload),
            checkpoints=CheckpointTable(tables["streams"], pages),
            deliveries=DeliveryTable(tables["streams"], pages),
            users=UserTable(tables["users"], CIPHER),
            tokens=TokenTable(tables["tokens"], CIPHER),
            open_runs=OpenRunTable(tables["openruns"]),
            parked=ParkedTable(tables["parked"]),
            schedules=ScheduleTable(tables["schedules"]),
            admission=AdmissionTable(tables["control"], self.loop.time),
            backlog=BacklogTable(tables["control"], self.loop.time),
            budgets=BudgetTable(tables["budgets"], self.rng.random, self.loop.time),
            broker=port(self.broker, "broker"),
            source=port(self.api, "source"),
            token_endpoint=port(self.token_endpoint, "token_endpoint"),
            output=port(self.output, "output"),
            place_at={"file:///second": port(self.second, "second")}.__getitem__,
            now=now,
            random=self.rng.random,
        )

    def ended(self, function: str, outcome: Outcome) -> None:
        self.outcomes[function, outcome.what] += 1
        self.said.append(f"{function} {outcome.what} {outcome.facts}")

    def crashed(self, function: str, error: Exception) -> None:
        self._crashes.append(f"{function} raised {type(error).__name__}: {error}")

    def _no_crash(self) -> None:
        if self._crashes:
            raise Violation(self._crashes[0])

    async def some_seconds(self, most: float) -> None:
        await asyncio.sleep(most * self.chance())

    def chance(self) -> float:
        return self._events_rng.random()

    def some_skew(self, most: float) -> float:
        return most * (self.rng.random() * 2 - 1)

    def new_token(self, user: str) -> str:
        self.tokens[user].append(f"canary-{user}-secret-{len(self.tokens[user])}")
        return self.tokens[user][-1]

    def revoke(self, user: str) -> None:
        self.revoked.add(user)
        self.let_in(user, "canary-nobody-secret")

    def let_in(self, user: str, token: str) -> None:
        """At the API; whatever was good before is so no more."""
        self.api.accepted[user] = token
        self.token_server.revoke(user)
        self.token_server.refresh_tokens[token] = user
        self.token_server.clients[user, token] = user

    def is_hopeless(self, key: StreamKey) -> bool:
        """Whether the API does not let this user in, so that nothing of theirs need ever start."""
        return key.user in self.revoked or key.user in self.workload.refused_users

    def digest(self) -> str:
        """Stands for everything that happened and everything that is there; only ciphertext is left out."""
        rows = [
            (name, row.key, row.etag, {field: value for field, value in row.values.items() if field != "credentials"})
            for name, table in self.tables.items()
            for row in table.rows.values()
        ]
        facts = (self.loop.time(), self.weather.struck, self.weather.points, self.said, self.broker.bodies, rows)
        outside = (self.output.written, self.second.written, self.pages.written, self.api.calls)
        return hashlib.blake2b(repr((facts, outside)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    async def checkpoints(self) -> list[Checkpoint]:
        """Of every stream and user that has one."""
        return await self.outside.checkpoints.all()


Invariant = Callable[[Simulation], Awaitable[None]]

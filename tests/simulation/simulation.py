"""The real handlers under one seed: processes, broker, tables, output and API in memory and in virtual time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography.fernet import Fernet

from miners.miner import mine
from miners.reconciler import reconcile
from miners.scheduler import schedule
from processors.dead_letters import Letter, handle
from processors.dedupe import SeenCache
from processors.delivery import deliver
from shared.adapters import checkpoint_table
from shared.adapters.admission_table import AdmissionTable
from shared.adapters.checkpoint_table import CheckpointTable
from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.open_run_table import OpenRunTable
from shared.adapters.parked_table import ParkedTable
from shared.adapters.schedule_table import ScheduleTable
from shared.adapters.tables import Row
from shared.adapters.user_table import UserTable
from shared.checkpoint import Checkpoint, RunState
from shared.errors import HeadframeError
from shared.messages import StreamKey
from shared.pipeline.loader import load_text
from shared.pipeline.spec import Pipeline
from shared.services import TABLES, Services
from shared.settings import Settings
from shared.users import User
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.memory_tables import MemoryTable
from tests.fakes.world import PIPELINE, START
from tests.simulation.broker import DEAD, Message, SimulatedBroker
from tests.simulation.processes import Killed, Port, Process
from tests.simulation.source import SimulatedApi, token_of
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.weather import Climate, SeededWeather, Strike

PATIENCE = timedelta(hours=24)
TIMER_SECONDS = 60.0
SLOTS = 2

KEY = Fernet.generate_key().decode()
"""Encryption draws on the system's randomness; nothing that is decided depends on its bytes."""


@dataclass(frozen=True)
class Workload:
    """What is to be mined, by how many processes.

    `moving`, `trouble`, `ragged` and `away` are chances of the API (see source.py), `duplicate` and `lost` those of the
    broker; `skew` is the largest error of a process's clock in seconds. `large_pages` puts every page into a
    blob. The first `refused` users have a token that the API does not know. `settings` are app settings.
    """

    name: str
    users: int = 2
    records: int = 5
    size: int = 2
    runs: int = 1
    processes: int = 2
    moving: float = 0.0
    trouble: float = 0.0
    duplicate: float = 0.0
    skew: float = 0.0
    ragged: float = 0.0
    away: float = 0.0
    lost: float = 0.0
    refused: int = 0
    reconciler: bool = True
    large_pages: bool = False
    emit: str = "changed"
    primary_key: bool = True
    paginator: str = "cursor"
    settings: tuple[tuple[str, str], ...] = ()


class WatchedTable(MemoryTable):
    """Remembers everything that was ever written, for whoever looks for secrets in it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Row] = []

    def _store(self, row: Row) -> str:
        self.written.append(row)
        return super()._store(row)


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Simulation:
    """One run of one workload under one seed. `run` raises Violation."""

    seed: int
    workload: Workload
    climate: Climate
    strike: Strike | None = None
    invariants: "tuple[Invariant, ...]" = ()
    crashed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(lambda loop, context: None)  # killed tasks end with nobody to tell
        self.tables = {name: WatchedTable() for name in TABLES}
        self.pages, self.output = MemoryObjects(), MemoryObjects()
        work = self.workload
        self.broker = SimulatedBroker(self.rng, self.now, duplicate=work.duplicate, lost=work.lost)
        self.api = SimulatedApi(self.rng, work.records, work.size, work.moving, work.trouble, work.ragged, work.away)
        self.processes: list[Process] = []
        self.weather = SeededWeather(self.rng, self.climate, self.loop.time, self._kill_everybody, self.strike)
        self._background: set[asyncio.Task[Any]] = set()
        self._started = 0

    @property
    def users(self) -> list[str]:
        return [f"user{number}" for number in range(self.workload.users)]

    @property
    def keys(self) -> list[StreamKey]:
        return [StreamKey("social", "posts", user) for user in self.users]

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
            self.loop.close()

    async def _play(self) -> None:
        self.outside = self._services(None)
        for number, user in enumerate(self.users):
            token = token_of("nobody") if number < self.workload.refused else token_of(user)
            await self.outside.users.put(User(user, {"token": token}))
        helpers = [asyncio.create_task(self._supervise(number)) for number in range(self.workload.processes)]
        helpers.append(asyncio.create_task(self._timers()))
        try:
            for number in range(self.workload.runs):
                await self.outside.schedules.request("social", "posts", self.now() + timedelta(seconds=number))
                await self._until(self._all_ended)
            await self._until(self._quiet)
        finally:
            for task in [*helpers, *self._background]:
                task.cancel()
            await asyncio.gather(*helpers, *self._background, return_exceptions=True)
        self._no_crash()
        for invariant in self.invariants:
            await invariant(self)

    def _no_crash(self) -> None:
        if self.crashed:
            raise Violation(self.crashed[0])

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = self.now() + PATIENCE
        while not (await condition() and self.loop.time() > self.climate.until):
            self._no_crash()
            if self.now() > deadline:
                raise Violation(f"not {condition.__name__.strip('_')} within {PATIENCE}: {await self._standing()}")
            await asyncio.sleep(20)

    async def _all_ended(self) -> bool:
        """Every user's last run has been started, has ended and is delivered."""
        known = await self.outside.schedules.read("social", "posts")
        if known.requested is None or known.tick is None or known.tick < known.requested or not known.finished:
            return False
        checkpoints = await self.outside.checkpoints.all()
        ended = [each for each in checkpoints if not each.is_open]
        waiting = [row for row in self.tables["streams"].rows.values() if row.key.startswith("page|")]
        return len(ended) == len(self.keys) and not waiting

    async def _quiet(self) -> bool:
        indexed = self.tables["openruns"].rows if self.workload.reconciler else {}
        return await self._all_ended() and not self.broker.messages and not indexed

    async def _standing(self) -> str:
        states = [f"{each.key.user}:{each.state}:{each.next_seq}" for each in await self.outside.checkpoints.all()]
        return f"{states}, {len(self.broker.messages)} messages, {len(self.tables['openruns'].rows)} in the index"

    async def _supervise(self, number: int) -> None:
        """Process after process, each until it is killed."""
        while True:
            self._started += 1
            process = Process(f"worker{self._started}", self.workload.skew * (self.rng.random() * 2 - 1))
            self.processes.append(process)
            worker = _Worker(self, process, self._services(process))
            slots = [asyncio.create_task(worker.serve()) for _ in range(SLOTS)]
            await asyncio.gather(*slots)
            self.processes.remove(process)
            await asyncio.sleep(1 + 9 * self.rng.random())

    async def _timers(self) -> None:
        """One scheduler and one reconciler at a time, on any process; now and then two."""
        while True:
            for name, function in self._timer_functions():
                alive = [process for process in self.processes if not process.dead]
                for process in self.rng.sample(alive, min(len(alive), 1 + (self.rng.random() < 0.1))):
                    self._spawn(self._timer(name, function, process))
            await asyncio.sleep(TIMER_SECONDS)

    def _timer_functions(self) -> list[tuple[str, Callable[[Services], Awaitable[Any]]]]:
        """Without the reconciler, redelivery alone has to heal what is cut off."""
        timers: list[tuple[str, Callable[[Services], Awaitable[Any]]]] = [("schedule", schedule)]
        return [*timers, ("reconcile", reconcile)] if self.workload.reconciler else timers

    async def _timer(self, name: str, function: Callable[[Services], Awaitable[Any]], process: Process) -> None:
        try:
            await function(self._services(process))
        except (HeadframeError, Killed):
            return
        except Exception as error:  # noqa: BLE001 - whatever else a handler raises is a defect
            self.crashed.append(f"{name} raised {type(error).__name__}: {error}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _kill_everybody(self) -> None:
        for process in self.processes:
            process.kill()

    def _services(self, process: Process | None) -> Services:
        """The services of a process, seen through its ports; of nobody, straight."""

        def port(inner: Any, name: str) -> Any:
            return Port(inner, name, process, self.weather) if process else inner

        skew = timedelta(seconds=process.skew if process else 0)

        def now() -> datetime:
            return self.now() + skew

        tables = {name: port(table, name) for name, table in self.tables.items()}
        pages = port(self.pages, "pages")
        return Services(
            settings=_settings(self.workload.settings),
            pipelines={"social": _pipeline(self.workload.paginator, self.workload.emit, self.workload.primary_key)},
            checkpoints=CheckpointTable(tables["streams"], pages),
            deliveries=DeliveryTable(tables["streams"], pages),
            users=UserTable(tables["users"], CredentialCipher(KEY)),
            open_runs=OpenRunTable(tables["openruns"]),
            parked=ParkedTable(tables["parked"]),
            schedules=ScheduleTable(tables["schedules"]),
            admission=AdmissionTable(tables["control"], now),
            broker=port(self.broker, "broker"),
            source=port(self.api, "source"),
            output=port(self.output, "output"),
            now=now,
            random=self.rng.random,
        )

    async def checkpoint(self, key: StreamKey) -> Checkpoint:
        found = await self.outside.checkpoints.read(key)
        if found is None:
            raise Violation(f"{key} has no checkpoint")
        return found

    def parked(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.state is RunState.PARKED


Invariant = Callable[[Simulation], Awaitable[None]]


@dataclass
class _Worker:
    """What the host does for one process: receive, invoke, complete or abandon."""

    simulation: Simulation
    process: Process
    services: Services
    cache: SeenCache = field(default_factory=SeenCache)

    async def serve(self) -> None:
        """One slot; returns when the process is dead."""
        broker = self.simulation.broker
        while not self.process.dead:
            message = broker.receive()
            if message is None:
                await asyncio.sleep(0.5 + self.simulation.rng.random())
            else:
                await self._one(message, message.lock)

    async def _one(self, message: Message, lock: int) -> None:
        broker, weather = self.simulation.broker, self.simulation.weather
        try:
            await self._invoke(message)
            await weather.before(self.process, "host.complete")
            broker.complete(message, lock)
        except Killed:
            return
        except HeadframeError:
            broker.abandon(message, lock)
        except Exception as error:  # noqa: BLE001 - whatever else a handler raises is a defect
            self.simulation.crashed.append(f"{message.queue}: {type(error).__name__}: {error}")

    async def _invoke(self, message: Message) -> None:
        outgoing = message.outgoing
        letter = Letter(outgoing.queue, outgoing.body, outgoing.message_id, "MaxDeliveryCountExceeded")
        if message.queue.endswith(DEAD):
            await handle(letter, self.services)
        elif message.queue == self.services.settings.queue_deliver:
            await deliver(letter, self.services)
        else:
            await mine(letter, self.services, self.cache)


PAGINATORS = {
    "cursor": "{ type: cursor, cursor_path: next, cursor_param: after }",
    "json_link": "{ type: json_link, next_url_path: link }",
    "header_link": "{ type: header_link }",
}


@cache
def _pipeline(paginator: str, emit: str, primary_key: bool) -> Pipeline:
    text = PIPELINE.replace(PAGINATORS["cursor"], PAGINATORS[paginator])
    if not primary_key:
        text = text.replace("    primary_key: id\n", "")
    return load_text(f"{text}    emit: {emit}\n", "pipeline.yaml")


@cache
def _settings(chosen: tuple[tuple[str, str], ...]) -> Settings:
    return Settings.read({"SERVICE_BUS": "bus", "STORAGE": "storage", "SCHEDULES": "requested", **dict(chosen)})

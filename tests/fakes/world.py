"""The whole function app on fakes: every handler is the real one, everything outside is in memory."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.fernet import Fernet

from miners.miner import mine
from miners.reconciler import reconcile
from miners.scheduler import schedule
from processors.dead_letters import Letter, handle
from processors.dedupe import SeenCache
from processors.delivery import deliver
from shared.adapters.admission_table import AdmissionTable
from shared.adapters.backlog_table import BacklogTable
from shared.adapters.budget_table import BudgetTable
from shared.adapters.checkpoint_table import CheckpointTable
from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.open_run_table import OpenRunTable
from shared.adapters.parked_table import ParkedTable
from shared.adapters.schedule_table import ScheduleTable
from shared.adapters.service_bus import Outgoing
from shared.adapters.token_table import TokenTable
from shared.adapters.user_table import UserTable
from shared.checkpoint import Checkpoint
from shared.messages import StreamKey
from shared.outcome import Outcome
from shared.pipeline.loader import load_text
from shared.pipeline.responses import Response
from shared.runs import resume
from shared.services import Services
from shared.settings import Settings
from shared.users import User
from tests.fakes.memory_broker import Clock, Delivered, MemoryBroker
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.memory_tables import MemoryTable
from tests.fakes.scripted_source import Call, ScriptedSource
from tests.fakes.token_server import ScriptedTokens, TokenServer

START = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)

PIPELINE = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: { type: bearer, token: "{credentials.token}" }
streams:
  - name: posts
    path: /me/posts
    records: data
    primary_key: id
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
"""

KEY = StreamKey("social", "posts", "ann")


@dataclass
class World:
    """Tables, broker, source, output and time; `run` plays the host until nothing is left to do."""

    respond: Callable[[Call], Response]
    pipeline: str = PIPELINE
    settings: dict[str, str] = field(default_factory=dict)
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock(START)
        self.broker = MemoryBroker(self.clock)
        self.source = ScriptedSource(self.respond)
        self.token_server = TokenServer(lambda: (self.clock.now() - START).total_seconds())
        self.token_endpoint = ScriptedTokens(self.token_server)
        self.streams, self.users = MemoryTable(), MemoryTable()
        self.open_runs, self.parked = MemoryTable(), MemoryTable()
        self.schedules, self.control, self.tokens = MemoryTable(), MemoryTable(), MemoryTable()
        self.budgets = MemoryTable()
        self.cipher = CredentialCipher(Fernet.generate_key().decode())
        self.pages, self.output = MemoryObjects(), MemoryObjects()
        self.places: defaultdict[str, MemoryObjects] = defaultdict(MemoryObjects)
        self.cache = SeenCache()
        self.services = self._services()

    @property
    def tables(self) -> list[MemoryTable]:
        return [
            self.streams,
            self.users,
            self.open_runs,
            self.parked,
            self.schedules,
            self.control,
            self.tokens,
            self.budgets,
        ]

    async def add_user(self, name: str = "ann", token: str = "token-of-ann", **changes: object) -> None:
        user = User(name, {"token": token} if token else {}, **changes)  # type: ignore[arg-type]  # keywords of a test
        await self.services.users.put(user)

    async def schedule(self) -> Outcome:
        return await schedule(self.services)

    async def reconcile(self) -> Outcome:
        return await reconcile(self.services)

    async def reconcile_now(self) -> Outcome:
        """As if nothing had happened for too long."""
        self.later(minutes=10)
        return await self.reconcile()

    async def resume(self, key: StreamKey = KEY) -> Checkpoint:
        return await resume(await self.checkpoint(key), self.services)

    async def mine_page(self) -> Outcome:
        """Handle the next wake-up of the miner, whether or not it brings a page."""
        wake_up = self.broker.receive("mine")
        assert wake_up is not None, "no wake-up is due"
        return await self.handle(wake_up)

    async def handle(self, delivered: Delivered) -> Outcome:
        """Invoke the function of a message; complete it, or abandon it if the function raises."""
        try:
            outcome = await self.invoke(delivered.message)
        except Exception:
            delivered.abandon()
            raise
        delivered.complete()
        return outcome

    async def invoke(self, message: Outgoing) -> Outcome:
        letter = Letter(message.queue, message.body, message.message_id)
        if message.queue == "deliver":
            outcome = await deliver(letter, self.services)
        else:
            outcome = await mine(letter, self.services, self.cache)
        self.outcomes.append((message.queue, outcome))
        return outcome

    async def run(self, steps: int = 1000) -> None:
        """Until no message is left, letting time pass to the next scheduled one and handling dead letters."""
        for _ in range(steps):
            if (delivered := self.broker.receive()) is not None:
                await self.handle(delivered)
            elif self.broker.dead_letters:
                dead = self.broker.dead_letters.pop(0)
                letter = Letter(dead.queue, dead.body, dead.message_id, "MaxDeliveryCountExceeded")
                self.outcomes.append(("dead", await handle(letter, self.services)))
            elif (due := self.broker.next_due()) is not None:
                self.clock.pass_to(due)
            else:
                return
        raise AssertionError(f"still busy after {steps} steps")

    async def checkpoint(self, key: StreamKey = KEY) -> Checkpoint:
        found = await self.services.checkpoints.read(key)
        assert found is not None, f"no checkpoint of {key}"
        return found

    def lines(self) -> list[dict[str, object]]:
        """Every line of the output, in the order of the objects' names."""
        return [
            json.loads(line) for name in sorted(self.output.objects) for line in self.output.objects[name].splitlines()
        ]

    def ids(self) -> list[object]:
        return [line["id"] for line in self.lines()]

    def later(self, **span: float) -> None:
        self.clock.pass_to(self.clock.now() + timedelta(**span))

    def _services(self) -> Services:
        settings = Settings.read({"SERVICE_BUS": "bus", "STORAGE": "storage", "QUICK_RETRIES": "0", **self.settings})
        parsed = load_text(self.pipeline, "pipeline.yaml")
        return Services(
            settings=settings,
            pipelines={parsed.pipeline: parsed},
            checkpoints=CheckpointTable(self.streams, self.pages),
            deliveries=DeliveryTable(self.streams, self.pages),
            users=UserTable(self.users, self.cipher),
            tokens=TokenTable(self.tokens, self.cipher),
            open_runs=OpenRunTable(self.open_runs),
            parked=ParkedTable(self.parked),
            schedules=ScheduleTable(self.schedules),
            admission=AdmissionTable(self.control, lambda: self.clock.now().timestamp()),
            backlog=BacklogTable(self.control, lambda: self.clock.now().timestamp()),
            budgets=BudgetTable(self.budgets, lambda: 0.5, lambda: self.clock.now().timestamp(), self.clock.sleep),
            broker=self.broker,
            source=self.source,
            token_endpoint=self.token_endpoint,
            output=self.output,
            place_at=self.places.__getitem__,
            now=self.clock.now,
            sleep=self.clock.sleep,
            random=lambda: 0.5,
        )

"""The collaborators of one process, made once and handed to every use case as arguments."""

import asyncio
import os
import random as random_module
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.adapters.admission_table import AdmissionTable
from shared.adapters.azure_clients import AzureClients, open_clients
from shared.adapters.backlog_table import BacklogTable
from shared.adapters.budget_table import BudgetTable
from shared.adapters.checkpoint_table import CheckpointTable
from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.local_folder import LocalFolder
from shared.adapters.objects import ObjectStore
from shared.adapters.open_run_table import OpenRunTable
from shared.adapters.parked_table import ParkedTable
from shared.adapters.schedule_table import ScheduleTable
from shared.adapters.service_bus import Broker, Outgoing
from shared.adapters.source_http import Source, SourceHttp
from shared.adapters.token_http import TokenEndpoint, TokenHttp
from shared.adapters.token_table import TokenTable
from shared.adapters.user_table import UserTable
from shared.errors import BadInput
from shared.log import guard_handlers
from shared.messages import Priority, WakeUp
from shared.pipeline.loader import load_folder
from shared.pipeline.schedules import rescheduled
from shared.pipeline.spec import Parquet, Pipeline, ServiceBusMessages
from shared.settings import Settings

TABLES = ("streams", "users", "tokens", "openruns", "parked", "schedules", "control", "budgets")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """Everything outside, and time and chance. Nothing here remembers anything about a run."""

    settings: Settings
    pipelines: dict[str, Pipeline]
    checkpoints: CheckpointTable
    deliveries: DeliveryTable
    users: UserTable
    tokens: TokenTable
    open_runs: OpenRunTable
    parked: ParkedTable
    admission: AdmissionTable
    backlog: BacklogTable
    budgets: BudgetTable
    schedules: ScheduleTable
    broker: Broker
    source: Source
    token_endpoint: TokenEndpoint
    output: ObjectStore
    place_at: Callable[[str], ObjectStore]
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random_module.random
    closers: tuple[Callable[[], Awaitable[None]], ...] = field(default=(), repr=False)

    def place(self, address: str | None) -> ObjectStore:
        """Where an output writes its objects; None: what the setting OUTPUT names."""
        return self.output if address is None else self.place_at(address)

    def queue_of(self, wake_up: WakeUp, priority: Priority = Priority.NORMAL) -> str:
        """Delivery has one queue, whatever the priority of the pipeline."""
        if wake_up.kind == "deliver":
            return self.settings.queue_deliver
        return {
            Priority.HIGH: self.settings.queue_mine_high,
            Priority.NORMAL: self.settings.queue_mine,
            Priority.LOW: self.settings.queue_mine_low,
        }[priority]

    def outgoing(self, wake_up: WakeUp, priority: Priority = Priority.NORMAL, at: datetime | None = None) -> Outgoing:
        return Outgoing(self.queue_of(wake_up, priority), wake_up.encode(), wake_up.message_id, at)

    async def send(self, wake_up: WakeUp, priority: Priority = Priority.NORMAL, at: datetime | None = None) -> None:
        """Raises BrokerUnavailable."""
        await self.broker.send([self.outgoing(wake_up, priority, at)])

    async def close(self) -> None:
        for close in self.closers:
            await close()


async def open_services(settings: Settings, pipelines: dict[str, Pipeline] | None = None) -> Services:
    """Connect to everything the settings name; `pipelines` instead of those of PIPELINES_DIR.

    Raises BadInput for what a person can mend, StorageUnavailable where the tables can't be reached.
    """
    guard_handlers()
    loaded = load_folder(Path(settings.pipelines_dir)) if pipelines is None else pipelines
    loaded = rescheduled(loaded, settings.schedule_overrides)
    _require_parquet(loaded)
    _require_other_queues(loaded, settings)
    cipher = CredentialCipher(settings.credential_keys)
    clients = open_clients(settings)
    source = SourceHttp(settings.request_seconds, settings.client_idle_seconds, settings.client_limit)
    token_endpoint = TokenHttp(settings.request_seconds)
    try:
        tables = {name: await clients.tables.open(name) for name in TABLES}
    except BaseException:
        await clients.close()
        raise
    pages = clients.container("pages")
    return Services(
        settings=settings,
        pipelines=loaded,
        checkpoints=CheckpointTable(tables["streams"], pages),
        deliveries=DeliveryTable(tables["streams"], pages),
        users=UserTable(tables["users"], cipher),
        tokens=TokenTable(tables["tokens"], cipher),
        open_runs=OpenRunTable(tables["openruns"]),
        parked=ParkedTable(tables["parked"]),
        schedules=ScheduleTable(tables["schedules"]),
        admission=AdmissionTable(tables["control"]),
        backlog=BacklogTable(tables["control"]),
        budgets=BudgetTable(tables["budgets"], random_module.random),
        broker=clients.bus,
        source=source,
        token_endpoint=token_endpoint,
        output=_place(settings.output, clients),
        place_at=cache(lambda address: _place(address, clients)),
        closers=(source.close, token_endpoint.close, clients.close),
    )


def _require_parquet(pipelines: dict[str, Pipeline]) -> None:
    """Looked for now, because a delivery that lacks it would come back for ever."""
    asking = [name for name, each in pipelines.items() if any(isinstance(output, Parquet) for output in each.outputs)]
    if asking and find_spec("pyarrow") is None:
        raise BadInput(
            f"pipeline {asking[0]}: found an output of type parquet, but no pyarrow, allowed: the extra parquet"
        )


def _require_other_queues(pipelines: dict[str, Pipeline], settings: Settings) -> None:
    """Records in a queue of wake-ups would be parked one by one."""
    ours = {settings.queue_mine_high, settings.queue_mine, settings.queue_mine_low, settings.queue_deliver}
    for name, pipeline in pipelines.items():
        for output in pipeline.outputs:
            if isinstance(output, ServiceBusMessages) and output.queue in ours:
                raise BadInput(
                    f"pipeline {name}: outputs: found queue {output.queue!r}, allowed: one that is not the app's"
                )


def _place(address: str, clients: AzureClients) -> ObjectStore:
    if address.startswith("blob://"):
        return clients.container(address.removeprefix("blob://"))
    return LocalFolder(Path(unquote(urlsplit(address).path)))


_kept: dict[int, tuple[asyncio.Task[Services], AsyncGenerator[Services]]] = {}


async def services() -> Services:
    """The services of this process's event loop, opened at the first call.

    One function instance runs on one loop; an SDK client can't move to another.
    """
    loop = asyncio.get_running_loop()
    task, _ = _kept.get(id(loop), (None, None))
    if task is None or task.get_loop() is not loop or (task.done() and (task.cancelled() or task.exception())):
        opened = _opened()
        task = loop.create_task(anext(opened))
        _kept[id(loop)] = task, opened
    return await asyncio.shield(task)


async def _opened() -> AsyncGenerator[Services]:
    """A loop that ends in an orderly way finishes its asynchronous generators, and so closes every connection."""
    opened = await open_services(Settings.read(os.environ))
    try:
        yield opened
    finally:
        await opened.close()

"""Known mistakes, each switched on by itself: the simulation must catch every one.

A mutant replaces one function or method of production code for the length of a `with` block.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import miners.fetching
import miners.miner
import miners.reconciler
import miners.scheduler
import processors.dead_letters
import processors.delivery
import shared.adapters.delivery_table
import shared.pipeline.pagination
import shared.pipeline.responses
from miners.reconciler import Patience
from processors.batches import BatchLimits, limits_of
from processors.dead_letters import Letter
from processors.delivery import next_plan
from shared.adapters.admission_table import AdmissionTable
from shared.adapters.checkpoint_table import CheckpointTable, CommittedPage
from shared.adapters.delivery_table import Delivery, Plan, Progress
from shared.adapters.open_run_table import OpenRun
from shared.adapters.tables import Delete, Operation, Row
from shared.checkpoint import Checkpoint
from shared.errors import AlreadyExists, Conflict, StorageError
from shared.messages import StreamKey, WakeUp
from shared.outcome import Outcome
from shared.pipeline.spec import Output
from shared.services import Services
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.memory_tables import MemoryTable
from tests.simulation import host
from tests.simulation.broker import DEAD, Message
from tests.simulation.budget_mistakes import BUDGET_MISTAKES
from tests.simulation.chain_mistakes import CHAIN_MISTAKES
from tests.simulation.climates import BROKER_FAILS, INDEX_IS_SLOW, SCHEDULER_IS_HELD_UP
from tests.simulation.folding_mistakes import FOLDING_MISTAKES
from tests.simulation.group_mistakes import GROUP_MISTAKES
from tests.simulation.merging_mistakes import MERGING_MISTAKES
from tests.simulation.simulation import Simulation, Violation
from tests.simulation.slice_mistakes import SLICE_MISTAKES
from tests.simulation.token_mistakes import TOKEN_MISTAKES
from tests.simulation.turn_mistakes import TURN_MISTAKES
from tests.simulation.weather import Climate
from tests.simulation.workloads import simulation_among, simulation_of

MOST_SEEDS = 1000
IMPATIENT = timedelta(hours=20)
"""A run that is broken may stand still for ever; few that are not broken take so long."""


@dataclass(frozen=True)
class Mutant:
    """`replacements` are owner, name and what stands there instead; `among` names the workloads that can show it soon,
    if not any can, and `climate` the weather, if not any can."""

    name: str
    replacements: tuple[tuple[Any, str, Any], ...]
    among: tuple[str, ...] = ()
    climate: Climate | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        with ExitStack() as undo:
            for owner, name, new in self.replacements:
                undo.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, new)
            yield


async def _no_outcome(*_: Any) -> Outcome:
    return Outcome("nothing")


async def _no_wake_up(*_: Any) -> None:
    return None


async def _blind_replace(self: MemoryTable, row: Row) -> str:
    return await self.put(row)


async def _blind_transact(self: MemoryTable, operations: Sequence[Operation]) -> list[str | None]:
    etags: list[str | None] = []
    for operation in operations:
        if isinstance(operation, Delete):
            await self.delete(dataclasses.replace(operation.row, etag=None))
            etags.append(None)
        else:
            etags.append(await self.put(operation.row))
    return etags


def _one_name_a_run(key: StreamKey, waiting: Sequence[CommittedPage], limits: BatchLimits, output: Output) -> Plan:
    plan = next_plan(key, waiting, limits, output)
    return dataclasses.replace(plan, name=plan.name.rsplit("-", 2)[0] + "-000000-999999.jsonl")


async def _overwrite(self: MemoryObjects, name: str, data: bytes) -> None:
    self.objects[name] = data


async def _checkpoint_first(
    self: CheckpointTable, checkpoint: Checkpoint, page: Any, seen: bytes, passed: Any = ()
) -> Checkpoint:
    written = await self.replace(checkpoint)
    try:
        return await _COMMIT(self, written, page, seen, passed)
    except AlreadyExists:
        raise Conflict("there already") from None


async def _index_afterwards(
    self: CheckpointTable, checkpoint: Checkpoint, page: Any, seen: bytes, passed: Any = ()
) -> Checkpoint:
    written = await _COMMIT(self, checkpoint, page, b"", passed)
    return await _COMMIT(self, written, (), seen) if seen else written


async def _commit_without_fence(
    self: CheckpointTable, checkpoint: Checkpoint, page: Any, seen: bytes, passed: Any = ()
) -> Checkpoint:
    latest = await self.read(checkpoint.key)
    return await _COMMIT(
        self, dataclasses.replace(checkpoint, etag=latest.etag if latest else None), page, seen, passed
    )


async def _complete_first(self: Any, message: Message, lock: int) -> None:
    self.broker.complete(message, lock)
    await _ONE(self, message, lock)


async def _complete_dead_letters_first(self: Any, message: Message, lock: int) -> None:
    if message.queue.endswith(DEAD):
        self.broker.complete(message, lock)
    await _ONE(self, message, lock)


def _id_without_attempt(self: WakeUp) -> str:
    return f"{self.kind}/{self.run}/{self.slice}/{self.seq}"


def _replay_under_the_same_id(self: Checkpoint, now: Any, until: Any) -> Checkpoint:
    return dataclasses.replace(self, not_before=until, replays=self.replays + 1)


async def _marked_first(delivery: Delivery, services: Services) -> Delivery:
    if delivery.plan is None:
        return delivery
    pages = await services.deliveries.pages(delivery.key, delivery.plan)
    done = await services.deliveries.mark_delivered(delivery, pages)
    await processors.delivery._write(delivery, delivery.plan, pages, services)
    return done


async def _planned_in_memory_only(delivery: Delivery, output: Output, deadline: Any, services: Services) -> Delivery:
    waiting = await services.deliveries.waiting(delivery.key)
    if not waiting:
        return delivery
    limits = limits_of(output, services.settings)
    written = await services.deliveries.write(delivery)
    plan = next_plan(delivery.key, waiting, limits, output)
    return await processors.delivery._carry_out(written.planned(plan), services)


def _short_page_is_the_end(
    stream: Any, cursor: str | None, body: Any, headers: dict[str, str], records: Sequence[Any]
) -> str | None:
    following = _NEXT_CURSOR(stream, cursor, body, headers, records)
    return following if len(records) >= 2 else None


def _any_origin(pipeline: Any, stream: Any, cursor: str | None, scopes: Any) -> Any:
    request = _PAGE_REQUEST(pipeline, stream, None, scopes)
    return dataclasses.replace(request, url=cursor or request.url)


async def _blob_afterwards(self: CheckpointTable, partition: str, page: CommittedPage) -> Row:
    """The row names a blob that is only written by whoever comes next."""
    real, drafts = self._pages, MemoryObjects()
    self._pages = drafts
    try:
        row = await _PAGE_ROW(self, partition, page)
    finally:
        self._pages = real
    self.__dict__.setdefault("_later", []).append(drafts.objects)
    return row


async def _commit_then_blob(
    self: CheckpointTable, checkpoint: Checkpoint, page: Any, seen: bytes, passed: Any = ()
) -> Checkpoint:
    written = await _COMMIT(self, checkpoint, page, seen, passed)
    for objects in self.__dict__.pop("_later", []):
        for name, data in objects.items():
            await self._pages.write_once(name, data)
    return written


async def _dropped_when_behind(checkpoint: Checkpoint, services: Services) -> None:
    """The wake-up is behind: somebody will have sent the next one."""


def _the_first_for_all(pipeline: Any, scopes: Any) -> Any:
    """As a client does that keeps its headers: one process in one run, so the first is remembered for both."""
    return _FIRST.setdefault(pipeline.pipeline, _ATTACHMENT(pipeline, scopes))


async def _to_the_end(letter: Letter, services: Services, cache: Any) -> Outcome:
    outcome = await _MINE(letter, services, cache)
    while outcome.what == "committed" and not outcome.facts["done"]:
        wake_up = WakeUp.decode(letter.body)
        following = wake_up.model_copy(update={"seq": wake_up.seq + 1, "attempt": 0})
        letter = dataclasses.replace(letter, body=following.encode(), message_id=following.message_id)
        outcome = await _MINE(letter, services, cache)
    return outcome


async def _always(*_: Any) -> bool:
    return True


async def _read_once(self: AdmissionTable) -> int:
    self._read_at = self._read_at and self._clock()
    return await _PERCENT(self)


async def _closed_when_old(open_run: OpenRun, services: Services, patience: Patience) -> str:
    if services.now() - open_run.since <= patience.usual:
        return "moving"
    await services.open_runs.remove(open_run)
    return "closed"


async def _judged_by_its_run(open_run: OpenRun, services: Services, patience: Patience) -> tuple[str, ...]:
    """A row that names another run than the checkpoint is thought to be left over."""
    try:
        checkpoint = await services.checkpoints.read(open_run.key)
        if checkpoint is not None and checkpoint.run != open_run.run:
            return (await _closed_when_old(open_run, services, patience),)
    except StorageError:
        return ("failed",)
    return await _LOOK_AT(open_run, services, patience)


async def _only_open_runs(checkpoint: Checkpoint, services: Services) -> None:
    if checkpoint.is_open:
        await _SEND_CURRENT(checkpoint, services)


def _ahead_of_any(self: Delivery) -> Progress:
    """What one output has, all are thought to have."""
    own = self.outputs.get(self.output, Progress())
    ahead = {at: seq for each in self.outputs.values() for at, seq in each.ahead.items()}
    return dataclasses.replace(own, ahead=ahead)


def _nothing_ahead(self: Delivery) -> Delivery:
    outputs = {name: dataclasses.replace(each, ahead={}) for name, each in self.outputs.items()}
    return dataclasses.replace(self, outputs={})._with(outputs)


_FIRST: dict[str, Any] = {}
_ATTACHMENT = miners.fetching.attachment
_MINE = miners.miner.mine
_PERCENT = AdmissionTable.percent
_LOOK_AT = miners.reconciler._look_at
_SEND_CURRENT = processors.dead_letters.send_current
_COMMIT = CheckpointTable.commit
_PAGE_ROW = CheckpointTable._page_row
_ONE = host.Worker._one
_NEXT_CURSOR: Callable[..., str | None] = shared.pipeline.pagination.next_cursor
_PAGE_REQUEST = miners.fetching.page_request

TWO_OUTPUTS = ("two outputs", "two outputs, eager delivery")

MUTANTS: tuple[Mutant, ...] = (
    Mutant("skip instead of re-send", ((miners.miner, "send_current", _dropped_when_behind),), ("no reconciler",)),
    Mutant(
        "blind upsert of rows", ((MemoryTable, "replace", _blind_replace), (MemoryTable, "transact", _blind_transact))
    ),
    Mutant(
        "output overwritten by name",
        ((processors.delivery, "next_plan", _one_name_a_run), (MemoryObjects, "write_once", _overwrite)),
    ),
    Mutant("checkpoint before page", ((CheckpointTable, "commit", _checkpoint_first),)),
    Mutant("complete before send", ((host.Worker, "_one", _complete_first),), ("no reconciler",)),
    Mutant(
        "same id on back-off", ((WakeUp, "message_id", property(_id_without_attempt)),), ("no reconciler, trouble",)
    ),
    Mutant("same id on replay", ((Checkpoint, "replayed", _replay_under_the_same_id),), ("no reconciler, trouble",)),
    Mutant("no reconciler", ((host, "TIMERS", {**host.TIMERS, "reconcile": _no_outcome}),)),
    Mutant("fence ignored", ((CheckpointTable, "commit", _commit_without_fence),), ("no primary key",)),
    Mutant(
        "dedupe outside the transaction",
        ((CheckpointTable, "commit", _index_afterwards),),
        ("two runs", "moving records"),
    ),
    Mutant("short page as end", ((shared.pipeline.responses, "next_cursor", _short_page_is_the_end),)),
    Mutant("credential to a foreign next link", ((miners.fetching, "page_request", _any_origin),)),
    Mutant("credential of the first user kept for all", ((miners.fetching, "attachment", _the_first_for_all),)),
    Mutant("token kept in the cursor", ((miners.fetching, "without_secrets", lambda link, _: link),)),
    Mutant("delivery marked before written", ((processors.delivery, "_carry_out", _marked_first),)),
    Mutant(
        "plan kept in memory", ((processors.delivery, "_drain", _planned_in_memory_only),), ("two pages an object",)
    ),
    Mutant(
        "pages forgotten when one output has them",
        ((shared.adapters.delivery_table, "pages_of_everybody", lambda _, pages: list(pages)),),
        TWO_OUTPUTS,
    ),
    Mutant("progress of outputs mixed up", ((Delivery, "progress", property(_ahead_of_any)),), TWO_OUTPUTS),
    Mutant("progress of the faster output forgotten", ((Delivery, "without_needless", _nothing_ahead),), TWO_OUTPUTS),
    Mutant(
        "dead letter completed before its replay is sent",
        ((host.Worker, "_one", _complete_dead_letters_first),),
        ("no reconciler, trouble", "no reconciler, messages expire"),
    ),
    Mutant(
        "blob referenced before it is written",
        ((CheckpointTable, "_page_row", _blob_afterwards), (CheckpointTable, "commit", _commit_then_blob)),
        ("large pages",),
    ),
    Mutant("one user mined to the end", ((host, "mine", _to_the_end),)),
    Mutant("admission not looked at", ((AdmissionTable, "admits", _always),)),
    Mutant("admission believed for ever", ((AdmissionTable, "percent", _read_once),)),
    Mutant(
        "postponed delivery not sent again",
        ((processors.delivery, "_send_postponed", _no_outcome),),
        ("no reconciler, eager delivery",),
    ),
    Mutant(
        "index row without a checkpoint forgotten",
        ((miners.reconciler, "_begun", _no_wake_up),),
        ("most messages lost",),
        INDEX_IS_SLOW,
    ),
    Mutant(
        "index row of open runs judged by its run",
        ((miners.reconciler, "_look_at", _judged_by_its_run),),
        ("messages lost, run after run",),
        SCHEDULER_IS_HELD_UP,
    ),
    Mutant(
        "older run begun after a newer one",
        ((miners.scheduler, "_has_been", lambda existing, run: existing.run == run),),
        ("runs close together",),
    ),
    Mutant(
        "run at its beginning left alone",
        ((miners.scheduler, "_perhaps_unsent", lambda *_: False),),
        ("no reconciler",),
    ),
    Mutant(
        "ended run's dead letter dropped",
        ((processors.dead_letters, "send_current", _only_open_runs),),
        (
            "no reconciler, trouble",
            "no reconciler, messages expire",
        ),
        BROKER_FAILS,
    ),
    *(
        Mutant(*mistake)
        for mistakes in (
            *(SLICE_MISTAKES, GROUP_MISTAKES, CHAIN_MISTAKES, TOKEN_MISTAKES, TURN_MISTAKES),
            *(BUDGET_MISTAKES, FOLDING_MISTAKES, MERGING_MISTAKES),
        )
        for mistake in mistakes
    ),
)


def _simulation(mutant: Mutant, seed: int) -> Simulation:
    return simulation_among(mutant.among, seed, mutant.climate) if mutant.among else simulation_of(seed)


def mutant_named(name: str) -> Mutant:
    return next(mutant for mutant in MUTANTS if mutant.name == name)


def hunt(mutant: Mutant, most: int = MOST_SEEDS) -> tuple[int, str] | None:
    """How many seeds it takes until one breaks a promise, and which; None: it survives them all."""
    with mutant.active():
        for seed in range(most):
            simulation = _simulation(mutant, seed)
            simulation.patience = IMPATIENT
            try:
                simulation.run()
            except Violation as violation:
                return seed + 1, str(violation)
    return None

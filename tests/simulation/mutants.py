"""Known mistakes, each switched on by itself: the simulation must catch every one.

A mutant replaces one function or method of production code for the length of a `with` block.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import miners.miner
import processors.delivery
import shared.pipeline.pagination
import shared.pipeline.responses
from processors.delivery import BatchLimits, next_plan
from shared.adapters.checkpoint_table import CheckpointTable, CommittedPage
from shared.adapters.delivery_table import Delivery, Plan
from shared.adapters.tables import Delete, Operation, Row
from shared.checkpoint import Checkpoint
from shared.errors import AlreadyExists, Conflict
from shared.messages import StreamKey, WakeUp
from shared.outcome import Outcome
from shared.services import Services
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.memory_tables import MemoryTable
from tests.simulation import simulation
from tests.simulation.broker import Message


@dataclass(frozen=True)
class Mutant:
    """`workloads` are the names of those that can show it."""

    name: str
    workloads: tuple[str, ...]
    replacements: tuple[tuple[Any, str, Any], ...]

    @contextmanager
    def active(self) -> Iterator[None]:
        with ExitStack() as undo:
            for owner, name, new in self.replacements:
                undo.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, new)
            yield


async def _no_outcome(*_: Any) -> Outcome:
    return Outcome("nothing")


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


def _one_name_a_run(key: StreamKey, waiting: Sequence[CommittedPage], limits: BatchLimits) -> Plan:
    plan = next_plan(key, waiting, limits)
    return dataclasses.replace(plan, name=plan.name.rsplit("-", 2)[0] + "-000000-999999.jsonl")


async def _overwrite(self: MemoryObjects, name: str, data: bytes) -> None:
    self.objects[name] = data


async def _checkpoint_first(
    self: CheckpointTable, checkpoint: Checkpoint, page: CommittedPage | None, seen: bytes
) -> Checkpoint:
    written = await self.replace(checkpoint)
    try:
        return await _COMMIT(self, written, page, seen)
    except AlreadyExists:
        raise Conflict("there already") from None


async def _index_afterwards(
    self: CheckpointTable, checkpoint: Checkpoint, page: CommittedPage | None, seen: bytes
) -> Checkpoint:
    written = await _COMMIT(self, checkpoint, page, b"")
    return await _COMMIT(self, written, None, seen) if seen else written


async def _commit_without_fence(
    self: CheckpointTable, checkpoint: Checkpoint, page: CommittedPage | None, seen: bytes
) -> Checkpoint:
    latest = await self.read(checkpoint.key)
    return await _COMMIT(self, dataclasses.replace(checkpoint, etag=latest.etag if latest else None), page, seen)


async def _complete_first(self: Any, message: Message, lock: int) -> None:
    self.simulation.broker.complete(message, lock)
    await _ONE(self, message, lock)


async def _complete_dead_letters_first(self: Any, message: Message, lock: int) -> None:
    if message.queue.endswith(simulation.DEAD):
        self.simulation.broker.complete(message, lock)
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
    lines = b"".join(processors.delivery.decompressed(page.lines) for page in pages)
    await services.output.write_once(delivery.plan.name, lines)
    return done


async def _planned_in_memory_only(delivery: Delivery, deadline: Any, services: Services) -> Delivery:
    waiting = await services.deliveries.waiting(delivery.key)
    if not waiting:
        return delivery
    limits = processors.delivery._limits(services)
    written = await services.deliveries.write(delivery)
    plan = next_plan(delivery.key, waiting, limits)
    return await processors.delivery._carry_out(written.planned(plan), services)


def _short_page_is_the_end(
    stream: Any, cursor: str | None, body: Any, headers: dict[str, str], count: int
) -> str | None:
    following = _NEXT_CURSOR(stream, cursor, body, headers, count)
    return following if count >= 2 else None


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
    self: CheckpointTable, checkpoint: Checkpoint, page: CommittedPage | None, seen: bytes
) -> Checkpoint:
    written = await _COMMIT(self, checkpoint, page, seen)
    for objects in self.__dict__.pop("_later", []):
        for name, data in objects.items():
            await self._pages.write_once(name, data)
    return written


async def _dropped_when_behind(checkpoint: Checkpoint, services: Services) -> None:
    """The wake-up is behind: somebody will have sent the next one."""


_COMMIT = CheckpointTable.commit
_PAGE_ROW = CheckpointTable._page_row
_ONE = simulation._Worker._one
_NEXT_CURSOR: Callable[..., str | None] = shared.pipeline.pagination.next_cursor
_PAGE_REQUEST = miners.miner.page_request

MUTANTS: tuple[Mutant, ...] = (
    Mutant("skip instead of re-send", ("no reconciler",), ((miners.miner, "send_current", _dropped_when_behind),)),
    Mutant(
        "blind upsert of rows",
        ("plain",),
        ((MemoryTable, "replace", _blind_replace), (MemoryTable, "transact", _blind_transact)),
    ),
    Mutant(
        "output overwritten by name",
        ("eager delivery",),
        ((processors.delivery, "next_plan", _one_name_a_run), (MemoryObjects, "write_once", _overwrite)),
    ),
    Mutant("checkpoint before page", ("plain",), ((CheckpointTable, "commit", _checkpoint_first),)),
    Mutant("complete before send", ("no reconciler",), ((simulation._Worker, "_one", _complete_first),)),
    Mutant(
        "same id on back-off", ("no reconciler, trouble",), ((WakeUp, "message_id", property(_id_without_attempt)),)
    ),
    Mutant(
        "same id on replay",
        ("no reconciler, trouble",),
        ((Checkpoint, "replayed", _replay_under_the_same_id),),
    ),
    Mutant("no reconciler", ("messages lost",), ((simulation, "reconcile", _no_outcome),)),
    Mutant("fence ignored", ("no primary key",), ((CheckpointTable, "commit", _commit_without_fence),)),
    Mutant(
        "dedupe outside the transaction",
        ("two runs", "moving records"),
        ((CheckpointTable, "commit", _index_afterwards),),
    ),
    Mutant(
        "short page as end",
        ("ragged pages",),
        ((shared.pipeline.responses, "next_cursor", _short_page_is_the_end),),
    ),
    Mutant(
        "credential to a foreign next link", ("next link leads away",), ((miners.miner, "page_request", _any_origin),)
    ),
    Mutant(
        "token kept in the cursor",
        ("next link in the body",),
        ((miners.miner, "without_secrets", lambda link, _: link),),
    ),
    Mutant(
        "delivery marked before written", ("eager delivery",), ((processors.delivery, "_carry_out", _marked_first),)
    ),
    Mutant(
        "plan kept in memory", ("two pages an object",), ((processors.delivery, "_drain", _planned_in_memory_only),)
    ),
    Mutant(
        "dead letter completed before its replay",
        ("no reconciler, trouble",),
        ((simulation._Worker, "_one", _complete_dead_letters_first),),
    ),
    Mutant(
        "blob referenced before it is written",
        ("large pages",),
        ((CheckpointTable, "_page_row", _blob_afterwards), (CheckpointTable, "commit", _commit_then_blob)),
    ),
)

"""The Service Bus trigger, over a queue in memory that is as strict as the SDK's connection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import MessageLockLostError, MessagingEntityNotFoundError, ServiceBusConnectionError

from devtools.local_host.errors import HostError
from devtools.local_host.host_json import ServiceBusOptions
from devtools.local_host.service_bus_listener import QueueListener, QueueTrigger
from devtools.local_host.trigger_data import TriggerData
from devtools.local_host.worker_process import Outcome
from tests.fakes.received_message import received_message

OPTIONS = ServiceBusOptions(prefetch_count=0, max_concurrent_calls=2, max_auto_lock_renewal=300)


class MemoryReceiver:
    """One queue. Refuses to do two things at once, as the SDK's connection stalls on them."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Any] = asyncio.Queue()
        self.done: list[tuple[str, str]] = []
        self.failures: dict[str, list[Exception]] = {}
        self.opened = 0
        self._busy = False

    def put(self, name: str, locked_for: float = 30.0, body: bytes = b"{}") -> None:
        message = received_message(body, message_id=name)
        lock = datetime.now(UTC) + timedelta(seconds=locked_for)
        # What the listener reads of a message; the SDK lets no lock be set from outside.
        self.waiting.put_nowait(LockedMessage(message, lock))

    @asynccontextmanager
    async def _alone(self, act: str) -> AsyncIterator[None]:
        assert not self._busy, f"{act} beside another act"
        self._busy = True
        try:
            await asyncio.sleep(0)
            if self.failures.get(act):
                raise self.failures[act].pop(0)
            yield
        finally:
            self._busy = False

    async def __aenter__(self) -> "MemoryReceiver":
        async with self._alone("open"):
            self.opened += 1
        return self

    async def receive_messages(self, max_message_count: int, max_wait_time: float) -> list[Any]:
        async with self._alone("receive"):
            try:
                return [await asyncio.wait_for(self.waiting.get(), max_wait_time)]
            except TimeoutError:
                return []

    async def complete_message(self, message: Any) -> None:
        async with self._alone("complete"):
            self.done.append(("complete", message.message_id))

    async def abandon_message(self, message: Any) -> None:
        async with self._alone("abandon"):
            self.done.append(("abandon", message.message_id))

    async def renew_message_lock(self, message: Any) -> datetime:
        async with self._alone("renew"):
            self.done.append(("renew", message.message_id))
            return datetime.now(UTC) + timedelta(seconds=30)


class LockedMessage:
    """A received message with a lock."""

    def __init__(self, message: Any, locked_until_utc: datetime) -> None:
        self._message = message
        self.locked_until_utc = locked_until_utc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


class MemoryBroker:
    """Hands out one receiver; remembers what was told about it."""

    address, setting = "memory", "BUS"

    def __init__(self) -> None:
        self.receiver_ = MemoryReceiver()
        self.told: list[str] = []

    def receiver(self, queue: str, dead_letters: bool, prefetch_count: int) -> MemoryReceiver:
        return self.receiver_

    def went_away(self, listener: str, error: Exception) -> None:
        self.told.append("away")

    def is_missed_by(self, listener: str) -> bool:
        return bool(self.told) and self.told[-1] == "away"

    def is_there(self, listener: str) -> None:
        if self.is_missed_by(listener):
            self.told.append("there")


class World:
    """A listener that runs, and a function whose invocations a test ends one by one."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.receiver = self.broker.receiver_
        self.worker_ready = asyncio.Event()
        self.worker_ready.set()
        self.asked_for_worker = False
        self.running: dict[str, asyncio.Future[Outcome]] = {}
        trigger = QueueTrigger("mine", "work", dead_letters=False, binary=False, written="%QUEUE%")
        # The fakes stand in for classes of the SDK, which are no protocols.
        self.listener = QueueListener(trigger, self.broker, OPTIONS, self._invoke, self._ready)  # type: ignore[arg-type]

    async def _invoke(self, function: str, data: TriggerData) -> Outcome:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.running[data.metadata["MessageId"][1]] = future
        return await future

    async def _ready(self) -> None:
        self.asked_for_worker = True
        await self.worker_ready.wait()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - conditions over plain lists
                await asyncio.sleep(0.01)

    async def until_done(self, *done: tuple[str, str]) -> None:
        await self.until(lambda: self.receiver.done == list(done))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.listener.open()
    task = asyncio.create_task(world.listener.run())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_success_completes_and_failure_abandons(world: World):
    world.receiver.put("good")
    world.receiver.put("bad")
    await world.until(lambda: len(world.running) == 2)
    world.running["good"].set_result(Outcome())
    await world.until_done(("complete", "good"))
    world.running["bad"].set_result(Outcome(error="ValueError: no"))
    await world.until_done(("complete", "good"), ("abandon", "bad"))


async def test_no_more_run_at_once_than_allowed(world: World):
    for name in "abc":
        world.receiver.put(name)
    await world.until(lambda: len(world.running) == OPTIONS.max_concurrent_calls)
    world.running["a"].set_result(Outcome())
    await world.until(lambda: set(world.running) == {"a", "b", "c"})
    assert world.receiver.done == [("complete", "a")]


async def test_a_lock_is_renewed_at_half_its_time_while_the_function_runs(world: World):
    world.receiver.put("slow", locked_for=0.2)
    await world.until_done(("renew", "slow"))
    world.running["slow"].set_result(Outcome())
    await world.until_done(("renew", "slow"), ("complete", "slow"))


async def test_a_lost_lock_is_told_once_and_the_message_left_to_the_broker(world: World, caplog):
    world.receiver.failures["complete"] = [MessageLockLostError()]
    world.receiver.put("late")
    await world.until(lambda: world.running)
    with caplog.at_level(logging.WARNING):
        world.running["late"].set_result(Outcome())
        await world.until(lambda: "the lock of message late was lost" in caplog.text)
    world.receiver.put("next")
    await world.until(lambda: "next" in world.running)
    assert world.receiver.done == []


async def test_a_body_no_function_can_be_handed_is_abandoned_without_a_run(world: World):
    sequence = SimpleNamespace(
        message_id="odd", body_type=AmqpMessageBodyType.SEQUENCE, body=([1],), locked_until_utc=datetime.now(UTC)
    )
    world.receiver.waiting.put_nowait(sequence)
    await world.until(lambda: ("abandon", "odd") in world.receiver.done)
    assert world.running == {}


async def test_nothing_is_received_while_no_worker_is_alive():
    world = World()
    world.worker_ready.clear()
    world.receiver.put("kept in the queue")
    await world.listener.open()
    task = asyncio.create_task(world.listener.run())
    await world.until(lambda: world.asked_for_worker)
    assert world.receiver.waiting.qsize() == 1
    world.worker_ready.set()
    await world.until(lambda: world.running)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_outcome_is_settled_after_the_broker_was_away(world: World):
    """The link is opened again first, then what finished meanwhile is settled, then the next is received."""
    world.receiver.put("kept")
    await world.until(lambda: world.running)
    world.receiver.failures["complete"] = [ServiceBusConnectionError()]
    world.running["kept"].set_result(Outcome())
    await world.until_done(("complete", "kept"))
    assert world.broker.told == ["away", "there"]
    assert world.receiver.opened == 2


async def test_stop_ends_a_waiting_receive_and_settles_what_runs(world: World):
    world.receiver.put("running")
    await world.until(lambda: world.running)
    world.listener.stop()
    world.receiver.put("too late")
    world.running["running"].set_result(Outcome())
    await world.until_done(("complete", "running"))
    assert world.receiver.waiting.qsize() == 1


async def test_a_missing_queue_names_function_setting_and_queue():
    world = World()
    world.receiver.failures["open"] = [MessagingEntityNotFoundError()]
    with pytest.raises(HostError) as refused:
        await world.listener.open()
    for part in ("function mine", "queue 'work'", "%QUEUE%", "setting BUS"):
        assert part in str(refused.value)


async def test_a_broker_that_is_away_at_the_start_is_waited_for():
    world = World()
    world.receiver.failures["open"] = [ServiceBusConnectionError()]
    await world.listener.open()
    assert world.broker.told == ["away", "there"]

"""kill -9: nothing acknowledged is lost, nothing completed comes back."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.exceptions import ServiceBusError

WAIT = 20
QUEUES = {
    "work": {
        "RequiresDuplicateDetection": True,
        "DuplicateDetectionHistoryTimeWindow": "PT10M",
        "LockDuration": "PT5M",
    },
    "sessions": {"RequiresSession": True},
}


@pytest.fixture
def emulator(start_emulator, tmp_path):
    return start_emulator(QUEUES, journal=tmp_path / "journal.db")


def restart(emulator):
    emulator.kill()
    return emulator.start().connection_string


async def receive_all(bus, queue, **options):
    receiver = bus.receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE, **options)
    got = []
    while some := await receiver.receive_messages(100, max_wait_time=1):
        got += some
    return got


async def test_a_killed_emulator_is_the_same_after_its_restart(emulator, open_bus):
    """One of each: active, locked, abandoned, deferred, dead, scheduled, completed, duplicate, session state."""
    soon, later = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (5, 3600))
    async with open_bus(emulator.connection_string) as bus:
        sender, receiver = bus.sender("work"), bus.receiver("work")
        names = ["completed", "abandoned", "deferred", "dead", "locked", "active"]
        await sender.send_messages([ServiceBusMessage(name, message_id=name) for name in names])
        got = {}
        while len(got) < 5:
            some = await receiver.receive_messages(5 - len(got), max_wait_time=WAIT)
            got |= {str(message): message for message in some}
        await receiver.complete_message(got["completed"])
        await receiver.abandon_message(got["abandoned"])
        await receiver.defer_message(got["deferred"])
        await receiver.dead_letter_message(got["dead"], reason="Odd")
        await receiver.renew_message_lock(got["locked"])
        (number,) = await sender.schedule_messages(ServiceBusMessage("later", message_id="later"), later)
        await sender.schedule_messages(ServiceBusMessage("soon", message_id="soon"), soon)
        await bus.sender("sessions").send_messages(ServiceBusMessage("s", session_id="a"))
        session = bus.receiver("sessions", session_id="a")
        await session.session.set_state(b"half way")
        connection_string = restart(emulator)

    async with open_bus(connection_string) as bus:
        sender, receiver = bus.sender("work"), bus.receiver("work")
        await sender.send_messages(ServiceBusMessage("completed", message_id="completed"))
        await sender.send_messages(ServiceBusMessage("later", message_id="later"))
        (deferred,) = await receiver.receive_deferred_messages(got["deferred"].sequence_number)
        await receiver.complete_message(deferred)
        (dead,) = await receive_all(bus, "work", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        assert dead.dead_letter_reason == "Odd"
        await sender.cancel_scheduled_messages(number)
        session = bus.receiver("sessions", session_id="a")
        assert await session.session.get_state() == b"half way"
        assert [str(message) for message in await session.receive_messages(1, max_wait_time=WAIT)] == ["s"]

        free = []
        while len(free) < 3:
            free += await receiver.receive_messages(3, max_wait_time=WAIT)
        assert [str(message) for message in free] == ["abandoned", "active", "soon"]
        assert free[0].delivery_count == 1
        assert datetime.now(UTC) >= soon - timedelta(milliseconds=1)
        left = await receiver.peek_messages(10, sequence_number=1)
        assert {str(message) for message in left} == {"abandoned", "active", "soon", "locked"}


async def test_kills_in_the_middle_of_traffic_lose_nothing_acknowledged(emulator, open_bus):
    """Sent and acknowledged, minus completed and acknowledged, is what is there; each message at most once."""
    sent, completed, maybe_sent, maybe_completed = set(), set(), set(), set()

    async def send(bus):
        sender = bus.sender("work")
        for number in range(100_000):
            batch = [f"{id(bus)}-{number}-{part}" for part in range(20)]
            maybe_sent.update(batch)
            await sender.send_messages([ServiceBusMessage(name, message_id=name) for name in batch])
            sent.update(batch)

    async def complete(bus, count, reached):
        receiver = bus.receiver("work")
        while True:
            for message in await receiver.receive_messages(10, max_wait_time=WAIT):
                maybe_completed.add(str(message))
                await receiver.complete_message(message)
                completed.add(str(message))
                if len(completed) >= count:
                    reached.set()

    connection_string = emulator.connection_string
    for count in (200, 400):
        reached = asyncio.Event()
        async with open_bus(connection_string) as bus:
            traffic = [asyncio.create_task(send(bus)), asyncio.create_task(complete(bus, count, reached))]
            await asyncio.wait([asyncio.create_task(reached.wait()), *traffic], return_when=asyncio.FIRST_COMPLETED)
            assert reached.is_set(), traffic
            connection_string = await asyncio.to_thread(restart, emulator)
            for task in traffic:
                task.cancel()
            ends = await asyncio.gather(*traffic, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError | ServiceBusError) for end in ends), ends

    async with open_bus(connection_string) as bus:
        there = []
        receiver = bus.receiver("work")
        while some := await receiver.peek_messages(250, sequence_number=there[-1].sequence_number + 1 if there else 1):
            there += some
    names = [str(message) for message in there]
    assert len(names) == len(set(names))
    assert sent - maybe_completed <= set(names)
    assert not completed & set(names)
    assert set(names) <= maybe_sent

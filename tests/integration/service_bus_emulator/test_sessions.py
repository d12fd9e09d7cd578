"""Sessions with the unmodified SDK."""

import asyncio
from datetime import timedelta

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
WAIT = 20


async def one(receiver):
    (message,) = await receiver.receive_messages(1, max_wait_time=WAIT)
    return message


async def test_a_session_receiver_gets_the_messages_of_its_session_in_order(bus, session_queue):
    sender = bus.sender(session_queue)
    texts = [("order-a", "a1"), ("order-b", "b1"), ("order-a", "a2")]
    await sender.send_messages([ServiceBusMessage(text, session_id=session) for session, text in texts])
    first, second = (bus.receiver(session_queue, session_id=name) for name in ("order-a", "order-b"))

    got = [await one(first), await one(first), await one(second)]

    assert [str(message) for message in got] == ["a1", "a2", "b1"]
    assert [message.session_id for message in got] == ["order-a", "order-a", "order-b"]
    for message in got:
        await (first if message.session_id == "order-a" else second).complete_message(message)


async def test_messages_of_a_session_are_abandoned_deferred_and_dead_lettered(bus, session_queue):
    await bus.sender(session_queue).send_messages(ServiceBusMessage("x", session_id="settle"))
    receiver = bus.receiver(session_queue, session_id="settle")

    await receiver.abandon_message(await one(receiver))
    message = await one(receiver)
    await receiver.defer_message(message)
    (deferred,) = await receiver.receive_deferred_messages(message.sequence_number)
    await receiver.dead_letter_message(deferred, reason="enough")

    assert message.delivery_count == 1
    assert await receiver.peek_messages(5, sequence_number=1) == []
    dead = await one(bus.receiver(session_queue, sub_queue="deadletter"))
    assert dead.dead_letter_reason == "enough"


async def test_the_next_session_is_found_and_waited_for(bus, session_queue):
    receiver = bus.receiver(session_queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=WAIT)
    waiting = asyncio.create_task(one(receiver))
    await asyncio.sleep(0.2)
    await bus.sender(session_queue).send_messages(ServiceBusMessage("x", session_id="next"))

    message = await waiting

    assert receiver.session.session_id == "next"
    await receiver.complete_message(message)


async def test_no_session_in_time_is_a_time_out(bus, session_queue):
    receiver = bus.receiver(session_queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1)

    with pytest.raises(OperationTimeoutError):
        await receiver.receive_messages(1, max_wait_time=1)


async def test_a_session_is_locked_for_one_receiver_until_that_closes(bus, session_queue):
    first = bus.receiver(session_queue, session_id="mine")
    await first.session.set_state(b"half way")

    with pytest.raises(SessionCannotBeLockedError):
        await bus.receiver(session_queue, session_id="mine").receive_messages(1, max_wait_time=1)
    await first.close()

    second = bus.receiver(session_queue, session_id="mine")
    assert await second.session.get_state() == b"half way"
    await second.session.set_state(None)
    assert await second.session.get_state() is None


async def test_a_session_lock_can_be_renewed(bus, session_queue):
    receiver = bus.receiver(session_queue, session_id="renewed")
    await receiver.session.set_state(b"x")
    before = receiver.session.locked_until_utc
    await asyncio.sleep(0.01)  # locks end at whole milliseconds

    assert await receiver.session.renew_lock() > before
    assert receiver.session.locked_until_utc - before < timedelta(seconds=30)
    await receiver.session.set_state(None)


async def test_an_expired_session_lock_is_lost_and_its_messages_are_free(bus, session_queue):
    await bus.sender("brief-sessions").send_messages(ServiceBusMessage("x", session_id="lost"))
    late = bus.receiver("brief-sessions", session_id="lost")
    message = await one(late)

    free = bus.receiver("brief-sessions", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=WAIT)
    again = await one(free)

    assert again.delivery_count == 1
    await free.complete_message(again)
    with pytest.raises(SessionLockLostError):
        await late.complete_message(message)


async def test_sessions_are_listed(bus, session_queue):
    await bus.sender(session_queue).send_messages([ServiceBusMessage("x", session_id=name) for name in ("l-1", "l-2")])
    found = [name async for name in bus.client.list_queue_sessions(session_queue)]

    assert {"l-1", "l-2"} <= set(found)


async def test_a_message_without_a_session_is_refused(bus, session_queue):
    with pytest.raises(ServiceBusError, match="requires a session id"):
        await bus.sender(session_queue).send_messages(ServiceBusMessage("x"))


@pytest.mark.parametrize(("queue", "options"), [("brief-sessions", {}), ("brief", {"session_id": "a"})])
async def test_receivers_that_do_not_fit_the_queue_are_refused(bus, queue, options):
    with pytest.raises(ServiceBusError):
        await bus.receiver(queue, **options).receive_messages(1, max_wait_time=1)

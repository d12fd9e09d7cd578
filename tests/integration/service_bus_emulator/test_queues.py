"""The unmodified SDK against the emulator: sending, receiving, settling, one test per row of what Azure promises."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEAD = ServiceBusSubQueue.DEAD_LETTER
WAIT = 20  # seconds a message may take on a busy machine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(bus, unused_queues):
    """(queue, sender, receiver), one for each test, opened all at once because the SDK takes a second for each."""
    names = list(islice(unused_queues, 30))
    opened = [(name, bus.sender(name), bus.receiver(name)) for name in names]
    await asyncio.gather(*(sender.create_message_batch() for _, sender, _ in opened))
    await asyncio.gather(*(receiver.peek_messages(1) for _, _, receiver in opened))
    return iter(opened)


@pytest.fixture
def own(opened):
    return next(opened)


@pytest.fixture
def queue(own):
    """Name of an empty queue that no other test uses."""
    return own[0]


@pytest.fixture
def plain(own):
    """Sender and receiver of it."""
    return own[1:]


async def one(receiver):
    (message,) = await receiver.receive_messages(1, max_wait_time=WAIT)
    return message


async def left(receiver):
    """The bodies of all messages that are still in the queue, in whatever state."""
    return [str(message) for message in await receiver.peek_messages(100, sequence_number=1)]


async def test_everything_a_sender_sets_arrives_unchanged(plain):
    sender, receiver = plain
    sent = ServiceBusMessage(
        b"\x00\xffbody",
        message_id="id-1",
        correlation_id="c",
        subject="s",
        content_type="t/x",
        to="there",
        reply_to="here",
        time_to_live=timedelta(hours=1),
        application_properties={"text": "ä", "number": 7, "flag": True, "bytes": b"\x00", "nothing": None},
    )
    await sender.send_messages(sent)

    got = await one(receiver)

    assert b"".join(got.body) == b"\x00\xffbody"
    assert got.application_properties == {
        b"text": "ä".encode(), b"number": 7, b"flag": True, b"bytes": b"\x00", b"nothing": None
    }  # fmt: skip
    assert (got.message_id, got.correlation_id, got.subject, got.content_type) == ("id-1", "c", "s", "t/x")
    assert (got.to, got.reply_to, got.time_to_live) == ("there", "here", timedelta(hours=1))
    assert (got.delivery_count, got.sequence_number > 0) == (0, True)
    now = datetime.now(UTC)
    assert now - timedelta(minutes=1) < got.enqueued_time_utc <= now
    assert timedelta(0) < got.locked_until_utc - got.enqueued_time_utc <= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("value_body", {b"a": [1, b"x"]}), ("sequence_body", [[1, 2], [3]]), ("data_body", [b"one", b"two"])],
)
async def test_every_kind_of_amqp_body_arrives(plain, kind, body):
    sender, receiver = plain
    await sender.send_messages(AmqpAnnotatedMessage(**{kind: body}, annotations={"mine": 1}))

    got = await one(receiver)
    await receiver.complete_message(got)

    raw = got.raw_amqp_message
    assert (raw.body if raw.body_type is AmqpMessageBodyType.VALUE else list(raw.body)) == body
    assert raw.annotations[b"mine"] == 1


async def test_a_batch_arrives_in_order(plain):
    sender, receiver = plain
    batch: ServiceBusMessageBatch = await sender.create_message_batch()
    for number in range(50):
        batch.add_message(ServiceBusMessage(str(number)))
    await sender.send_messages(batch)

    got = []
    while len(got) < 50:
        got += await receiver.receive_messages(50, max_wait_time=WAIT)
    await asyncio.gather(*(receiver.complete_message(message) for message in got))

    assert [str(message) for message in got] == [str(number) for number in range(50)]
    assert await left(receiver) == []


async def test_a_message_of_many_frames_arrives_whole(plain):
    sender, receiver = plain
    body = bytes(range(256)) * 980
    await sender.send_messages(ServiceBusMessage(body))

    got = await one(receiver)
    await receiver.complete_message(got)

    assert b"".join(got.body) == body


async def test_a_message_over_256_kb_is_refused_and_the_sender_goes_on(plain):
    sender, receiver = plain
    with pytest.raises(MessageSizeExceededError):
        await sender.send_messages(ServiceBusMessage(bytes(262_144)))

    await sender.send_messages(ServiceBusMessage("small"))

    assert str(await one(receiver)) == "small"


async def test_an_abandoned_message_comes_again_and_counts(plain):
    sender, receiver = plain
    await sender.send_messages(ServiceBusMessage("x"))
    await receiver.abandon_message(await one(receiver))

    assert (await one(receiver)).delivery_count == 1


async def test_the_last_allowed_attempt_makes_a_dead_letter(bus, plain, queue):
    sender, receiver = plain
    await sender.send_messages(ServiceBusMessage("x"))
    for _ in range(3):
        await receiver.abandon_message(await one(receiver))

    dead = await one(bus.receiver(queue, sub_queue=DEAD))

    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert dead.delivery_count == 3


async def test_dead_letters_have_their_reason_and_are_settled_like_others(bus, plain, queue):
    sender, receiver = plain
    await sender.send_messages(ServiceBusMessage("x", application_properties={"mine": 1}))
    await receiver.dead_letter_message(await one(receiver), reason="Odd", error_description="three legs")

    dead_letters = bus.receiver(queue, sub_queue=DEAD)
    await dead_letters.abandon_message(await one(dead_letters))
    got = await one(dead_letters)

    assert (got.dead_letter_reason, got.dead_letter_error_description) == ("Odd", "three legs")
    assert got.application_properties[b"DeadLetterReason"] == b"Odd"
    assert got.application_properties[b"mine"] == 1
    with pytest.raises(ServiceBusError, match="cannot be dead-lettered again"):
        await dead_letters.dead_letter_message(got)
    assert await left(dead_letters) == ["x"]


async def test_deferred_messages_come_by_number_and_can_be_settled(plain):
    sender, receiver = plain
    await sender.send_messages([ServiceBusMessage(text) for text in ("complete", "abandon", "delete")])
    numbers = []
    for _ in range(3):
        message = await one(receiver)
        numbers.append(message.sequence_number)
        await receiver.defer_message(message)

    first, second = await receiver.receive_deferred_messages(numbers[:2])
    await receiver.complete_message(first)
    await receiver.abandon_message(second)

    with pytest.raises(MessageNotFoundError):
        await receiver.receive_deferred_messages(numbers[0])
    (again,) = await receiver.receive_deferred_messages(numbers[1])
    await receiver.dead_letter_message(again, reason="enough")
    assert await left(receiver) == ["delete"]


async def test_receive_and_delete_leaves_nothing(bus, plain, queue):
    sender, receiver = plain
    await sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    deleting = bus.receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)

    got = []
    while len(got) < 2:
        got += await deleting.receive_messages(2, max_wait_time=WAIT)

    assert [str(message) for message in got] == ["a", "b"]
    assert await left(receiver) == []


async def test_an_expired_lock_frees_the_message_and_settles_nothing(bus):
    sender, receiver = bus.sender("brief"), bus.receiver("brief")
    await sender.send_messages(ServiceBusMessage("x"))
    late = await one(receiver)

    again = await one(receiver)

    assert again.delivery_count == 1
    with pytest.raises(MessageLockLostError):
        await receiver.complete_message(late)
    with pytest.raises(MessageLockLostError):
        await receiver.renew_message_lock(late)


async def test_a_renewed_lock_lasts_longer(plain):
    sender, receiver = plain
    await sender.send_messages(ServiceBusMessage("x"))
    message = await one(receiver)
    before = message.locked_until_utc
    await asyncio.sleep(0.01)  # locks end at whole milliseconds

    assert await receiver.renew_message_lock(message) > before

    await receiver.complete_message(message)


async def test_locks_outlive_their_link(bus, plain, queue):
    sender, receiver = plain
    await sender.send_messages(ServiceBusMessage("x"))
    other = bus.receiver(queue)
    await one(other)
    await other.close()

    assert await receiver.receive_messages(1, max_wait_time=1) == []
    assert await left(receiver) == ["x"]


async def test_a_message_expires_into_the_dead_letters(bus):
    await bus.sender("mortal").send_messages(ServiceBusMessage("x"))

    dead = await one(bus.receiver("mortal", sub_queue=DEAD))

    assert dead.dead_letter_reason == "TTLExpiredException"
    assert await left(bus.receiver("mortal")) == []


async def test_a_scheduled_message_appears_at_its_time(plain):
    sender, receiver = plain
    due = datetime.now(UTC) + timedelta(seconds=2)
    (number,) = await sender.schedule_messages(ServiceBusMessage("late"), due)

    (peeked,) = await receiver.peek_messages(1)
    assert peeked.sequence_number == number
    assert peeked.scheduled_enqueue_time_utc.replace(microsecond=0) == due.replace(microsecond=0)
    assert str(await one(receiver)) == "late"
    assert datetime.now(UTC) >= due - timedelta(milliseconds=1)


async def test_a_message_sent_with_a_time_is_scheduled_too(plain):
    sender, receiver = plain
    due = datetime.now(UTC) + timedelta(seconds=1)
    await sender.send_messages([ServiceBusMessage("a", scheduled_enqueue_time_utc=due), ServiceBusMessage("b")])

    assert [str(await one(receiver)), str(await one(receiver))] == ["b", "a"]


async def test_a_cancelled_message_never_appears(plain):
    sender, receiver = plain
    later = datetime.now(UTC) + timedelta(hours=1)
    numbers = await sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], later)

    await sender.cancel_scheduled_messages(numbers)

    assert await left(receiver) == []
    with pytest.raises(MessageNotFoundError):
        await sender.cancel_scheduled_messages(numbers)


async def test_duplicates_are_accepted_and_dropped_scheduled_ones_too(bus):
    sender, receiver = bus.sender("unique"), bus.receiver("unique")
    soon = datetime.now(UTC) + timedelta(hours=1)
    await sender.send_messages([ServiceBusMessage("first", message_id="1"), ServiceBusMessage("x", message_id="1")])
    await sender.send_messages(ServiceBusMessage("again", message_id="1"))
    await sender.schedule_messages(ServiceBusMessage("later", message_id="1"), soon)
    await sender.send_messages(ServiceBusMessage("other", message_id="2"))

    assert await left(receiver) == ["first", "other"]


async def test_peeking_shows_messages_from_a_number_on(plain):
    sender, receiver = plain
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
    everything = await receiver.peek_messages(10)

    rest = await receiver.peek_messages(2, sequence_number=everything[3].sequence_number)

    assert [str(message) for message in rest] == ["3", "4"]


async def test_prefetched_messages_can_be_received_and_completed(bus, plain, queue):
    sender, receiver = plain
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
    prefetching = bus.receiver(queue, prefetch_count=10)

    done = 0
    while done < 20:
        for message in await prefetching.receive_messages(20, max_wait_time=WAIT):
            await prefetching.complete_message(message)
            done += 1

    assert await left(receiver) == []


async def test_a_waiting_receiver_gets_a_message_when_it_comes(plain):
    sender, receiver = plain
    waiting = asyncio.create_task(one(receiver))
    await asyncio.sleep(0)
    await sender.send_messages(ServiceBusMessage("x"))

    message = await waiting

    await receiver.complete_message(message)
    assert str(message) == "x"


async def test_competing_receivers_share_the_messages(bus, plain, queue):
    sender, receiver = plain
    other = bus.receiver(queue)
    waiting = [asyncio.create_task(one(who)) for who in (receiver, other)]
    await sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])

    assert {str(message) for message in await asyncio.gather(*waiting)} == {"a", "b"}


async def test_queue_names_are_not_case_sensitive(bus, plain, queue):
    _, receiver = plain
    await bus.sender(queue.upper()).send_messages(ServiceBusMessage("x"))

    assert str(await one(receiver)) == "x"


async def test_an_unknown_queue_is_refused(bus):
    with pytest.raises((ServiceBusAuthenticationError, MessagingEntityNotFoundError)):
        await bus.sender("nothing").send_messages(ServiceBusMessage("x"))
    with pytest.raises((ServiceBusAuthenticationError, MessagingEntityNotFoundError)):
        await bus.receiver("nothing").receive_messages(1, max_wait_time=1)

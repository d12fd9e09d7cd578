"""The synchronous SDK: the same wire, another reader."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import AutoLockRenewer, ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue

from tests.waiting import wait_until

WAIT = 20


@pytest.fixture(scope="module")
def client(service_bus):
    with ServiceBusClient.from_connection_string(service_bus, retry_total=0, keep_alive=0) as client:
        yield client


def test_a_message_goes_the_whole_way(client, queue):
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages([ServiceBusMessage(name) for name in ("complete", "abandon", "dead", "defer")])
        got = {}
        while len(got) < 4:
            got |= {str(message): message for message in receiver.receive_messages(4, max_wait_time=WAIT)}
        receiver.complete_message(got["complete"])
        receiver.dead_letter_message(got["dead"], reason="Odd")
        receiver.defer_message(got["defer"])
        receiver.renew_message_lock(got["abandon"])
        receiver.abandon_message(got["abandon"])
        (again,) = receiver.receive_messages(1, max_wait_time=WAIT)
        assert (str(again), again.delivery_count) == ("abandon", 1)
        (deferred,) = receiver.receive_deferred_messages(got["defer"].sequence_number)
        receiver.complete_message(deferred)
    with client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead_letters:
        (dead,) = dead_letters.receive_messages(1, max_wait_time=WAIT)
        assert dead.dead_letter_reason == "Odd"
        dead_letters.complete_message(dead)


def test_scheduled_messages_are_cancelled_or_come_by_iteration(client, queue):
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue, max_wait_time=WAIT) as receiver:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        first, _ = sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], soon)
        sender.cancel_scheduled_messages(first)
        message = next(receiver)
        receiver.complete_message(message)

    assert str(message) == "b"


def test_locks_of_sessions_are_renewed_while_work_goes_on(client):
    """The SDK reads a connection from one thread at a time: work that used it too might wait for another's answer."""
    with client.get_queue_sender("brief-sessions") as sender:
        sender.send_messages(ServiceBusMessage("x", session_id="sync"))
    with (
        AutoLockRenewer() as renewer,
        client.get_queue_receiver("brief-sessions", session_id="sync") as receiver,
    ):
        renewer.register(receiver, receiver.session, max_lock_renewal_duration=30)
        (message,) = receiver.receive_messages(1, max_wait_time=WAIT)
        first = receiver.session.locked_until_utc
        wait_until(lambda: receiver.session.locked_until_utc >= first + timedelta(seconds=2), WAIT)
        receiver.complete_message(message)

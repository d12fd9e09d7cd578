"""What the worker is handed for each trigger."""

import json
from datetime import UTC, datetime

import pytest
from azure.servicebus.amqp import AmqpMessageBodyType

from devtools.local_host.trigger_data import message_body, message_data, timer_data, typed_message_data
from tests.fakes.received_message import LOCK_TOKEN, SEQUENCE_NUMBER, received_message


def test_a_message_travels_with_its_properties_as_the_real_host_sends_them():
    """Ints and times as JSON, times named Utc without an offset, the count of deliveries including this one."""
    data = message_data(received_message(b"{}", properties={"kind": "x", "n": 1}, earlier_deliveries=2), binary=False)
    metadata = data.metadata
    assert (data.kind, data.body) == ("string", b"{}")
    assert metadata["DeliveryCount"] == ("json", "3")
    assert metadata["SequenceNumber"] == ("json", str(SEQUENCE_NUMBER))
    assert metadata["EnqueuedTimeUtc"] == ("json", '"2026-11-22T23:15:00.25"')
    assert metadata["EnqueuedTime"] == ("json", '"2026-11-22T23:15:00.25+00:00"')
    assert metadata["LockToken"] == ("string", str(LOCK_TOKEN))
    assert metadata["Label"] == metadata["Subject"] == ("string", "wake-up")
    assert json.loads(metadata["ApplicationProperties"][1]) == {"kind": "x", "n": 1}
    assert "DeadLetterReason" not in metadata


def test_a_body_that_is_no_text_arrives_whole_only_as_binary():
    """As in Azure: text is what remains after U+FFFD has replaced what is not UTF-8."""
    message = received_message(b"\xff{}")
    assert message_data(message, binary=True).body == b"\xff{}"
    assert message_data(message, binary=False).body == "\ufffd{}".encode()


def test_a_body_of_amqp_sequences_is_refused():
    class Sequence:
        body_type = AmqpMessageBodyType.SEQUENCE
        body = ([1, 2],)

    with pytest.raises(ValueError, match="AMQP sequence"):
        message_body(Sequence())


def test_a_typed_message_counts_as_a_first_delivery():
    data = typed_message_data("hello", binary=True)
    assert (data.kind, data.body, data.metadata["DeliveryCount"]) == ("bytes", b"hello", ("json", "1"))


def test_a_timer_is_told_whether_it_is_late():
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    told = json.loads(timer_data({"Last": moment}, past_due=True).body)
    assert told["IsPastDue"] is True
    assert told["ScheduleStatus"] == {"Last": "2026-11-22T00:00:00+00:00"}


def test_each_invocation_has_an_id_and_a_trace_of_its_own():
    data = typed_message_data("x", binary=False)
    first, second = data.head("mine"), data.head("mine")
    assert first["id"] != second["id"]
    assert first["trace_parent"].split("-")[1] != second["trace_parent"].split("-")[1]

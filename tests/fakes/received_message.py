"""A message as the Service Bus SDK hands it out, made without a broker."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from azure.servicebus import ServiceBusReceivedMessage

# The SDK has no public way to encode what a broker sends; reading it back is public (from_bytes).
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Header, Message, Properties
from azure.servicebus._pyamqp.utils import amqp_long_value, amqp_timestamp_value

ENQUEUED = datetime(2026, 11, 22, 23, 15, 0, 250_000, tzinfo=UTC)
SEQUENCE_NUMBER = 2**53 + 1
LOCK_TOKEN = UUID("3f2b8c1e-0d55-4a67-9c53-0c4f2f0b8a11")


def received_message(
    body: bytes,
    message_id: str = "run/slice/3/1",
    properties: Mapping[str, Any] | None = None,
    earlier_deliveries: int = 0,
) -> ServiceBusReceivedMessage:
    message = Message(
        header=Header(delivery_count=earlier_deliveries, ttl=60_000),
        properties=Properties(message_id=message_id, content_type="application/json", subject="wake-up"),
        message_annotations={
            b"x-opt-sequence-number": amqp_long_value(SEQUENCE_NUMBER),
            b"x-opt-enqueued-time": amqp_timestamp_value(ENQUEUED),
        },
        delivery_annotations={b"x-opt-lock-token": LOCK_TOKEN},
        application_properties={name.encode(): value for name, value in (properties or {}).items()},
        data=[body],
    )
    return ServiceBusReceivedMessage.from_bytes(bytes(encode_payload(bytearray(), message)))

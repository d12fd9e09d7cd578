"""What the real host hands to a Python worker for each trigger, as plain data.

A datum is `(kind, value)` with the kinds of the worker protocol: `string`, `json` (a JSON text) and `bytes`. Ints and
times travel as JSON. Times named `…Utc` carry no offset.
"""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

Datum = tuple[str, str]


@dataclass(frozen=True)
class TriggerData:
    """The head of one invocation and the raw body that goes beside it.

    `kind` is the kind of the body: `string`, `json`, `bytes` or `http`, when `http` describes the request.
    """

    kind: str
    body: bytes
    metadata: dict[str, Datum] = field(default_factory=dict)
    http: dict[str, Any] | None = None

    def named(self) -> str:
        """Which message it is, for a log line; empty where there is none."""
        _, message_id = self.metadata.get("MessageId", ("", ""))
        return f" (message {message_id})" if message_id else ""

    def head(self, function: str) -> dict[str, Any]:
        """The fields of an invocation frame, with an id and a trace of its own."""
        return {
            "function": function,
            "id": str(uuid.uuid4()),
            "trace_parent": f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00",
            "kind": self.kind,
            "metadata": self.metadata,
            "http": self.http,
        }


def timer_data(status: Mapping[str, datetime] | None, past_due: bool) -> TriggerData:
    """A timer's info. `status` holds the times Last, Next and LastUpdated, None when the host remembers none."""
    info = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": {name: _offset_time(moment) for name, moment in status.items()} if status else None,
        "IsPastDue": past_due,
    }
    return TriggerData("json", json.dumps(info).encode())


def message_data(message: ServiceBusReceivedMessage, binary: bool) -> TriggerData:
    """A message of a queue or of its dead-letter queue.

    Unless the function asked for binary, what is not UTF-8 is replaced by U+FFFD, as the real host does.
    Raises ValueError for a body no Python function can be handed.
    """
    body = message_body(message)
    if binary:
        return TriggerData("bytes", body, _message_metadata(message))
    return TriggerData("string", body.decode(errors="replace").encode(), _message_metadata(message))


def typed_message_data(text: str, binary: bool) -> TriggerData:
    """A message typed by a person at `/admin/functions`, which never was in a queue."""
    metadata: dict[str, Datum] = {
        "MessageId": ("string", uuid.uuid4().hex),
        "DeliveryCount": ("json", "1"),
        "ApplicationProperties": ("json", "{}"),
        "UserProperties": ("json", "{}"),
    }
    return TriggerData("bytes" if binary else "string", text.encode(), metadata)


def message_body(message: ServiceBusReceivedMessage) -> bytes:
    """The bytes of the AMQP data sections, or of a text value."""
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    if message.body_type == AmqpMessageBodyType.VALUE and isinstance(message.body, (bytes, str)):
        return message.body if isinstance(message.body, bytes) else message.body.encode()
    raise ValueError(f"its body is an AMQP {message.body_type.value} of a kind that no Python function can be handed")


def _message_metadata(message: ServiceBusReceivedMessage) -> dict[str, Datum]:
    texts = {
        "MessageId": message.message_id,
        "LockToken": message.lock_token,
        "ContentType": message.content_type,
        "CorrelationId": message.correlation_id,
        "DeadLetterSource": message.dead_letter_source,
        "PartitionKey": message.partition_key,
        "ReplyTo": message.reply_to,
        "ReplyToSessionId": message.reply_to_session_id,
        "SessionId": message.session_id,
        "Subject": message.subject,
        "Label": message.subject,
        "To": message.to,
    }
    properties = _properties(message)
    values = {
        # The SDK counts earlier attempts, the host this one too.
        "DeliveryCount": (message.delivery_count or 0) + 1,
        "SequenceNumber": message.sequence_number,
        "EnqueuedTimeUtc": _naive_time(message.enqueued_time_utc),
        "EnqueuedTime": _offset_time(message.enqueued_time_utc),
        "ExpiresAtUtc": _naive_time(message.expires_at_utc),
        "ExpiresAt": _offset_time(message.expires_at_utc),
        "ApplicationProperties": properties,
        "UserProperties": properties,
    }
    as_texts: dict[str, Datum] = {name: ("string", str(text)) for name, text in texts.items() if text is not None}
    return as_texts | {name: ("json", json.dumps(value)) for name, value in values.items() if value is not None}


def _properties(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """Application properties by name. A dead letter's reason is among them, and nowhere else."""
    return {_text(name): _json_value(value) for name, value in (message.application_properties or {}).items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _offset_time(value)
    return value if isinstance(value, (str, int, float, bool)) or value is None else _text(value)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _naive_time(moment: datetime | None) -> str | None:
    """`2026-11-22T23:15:00.5`: no offset, no trailing zeros."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text.rstrip("0").rstrip(".") if "." in text else text


def _offset_time(moment: datetime | None) -> str | None:
    text = _naive_time(moment)
    return None if text is None else text + "+00:00"

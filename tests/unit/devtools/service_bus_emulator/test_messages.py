"""Messages: sections found, the sender's bytes passed on unchanged, our annotations around them."""

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devtools.service_bus_emulator import codec
from devtools.service_bus_emulator.codec import DecodeError
from devtools.service_bus_emulator.messages import Message, State, encode, parse, sections, split_batch


def values(payload):
    """The sections of a payload, decoded, by code."""
    return {code: codec.decode(payload, value_at)[0] for code, _, value_at, _ in sections(payload)}


def test_what_the_broker_decides_on_is_read(content):
    read = content(b"body", message_id="m", session_id="s", ttl=5_000, scheduled_for=42)

    assert (read.message_id, read.session_id, read.ttl, read.scheduled_for) == ("m", "s", 5_000, 42)
    assert (read.durable, read.priority) == (True, 7)


def test_a_delivered_message_ends_with_the_senders_own_bytes(content):
    sent = content(b"body", message_id="m", scheduled_for=42)
    message = Message(sent, 7, 1_000, delivery_count=2, lock_token=uuid.UUID(int=1), locked_until=31_000)

    delivered = encode(message)

    assert delivered.endswith(sent.payload[sent.bare_at :])
    found = values(delivered)
    assert found[0x70] == [True, 7, None, None, 2]
    assert found[0x71] == {"x-opt-lock-token": uuid.UUID(int=1)}
    assert found[0x72] == {
        "x-opt-sequence-number": 7,
        "x-opt-enqueued-time": 1_000,
        "x-opt-message-state": State.ACTIVE,
        "x-opt-scheduled-enqueue-time": 42,
        "x-opt-locked-until": 31_000,
    }


def test_a_peeked_message_has_no_lock(content):
    found = values(encode(Message(content(), 7, 1_000, State.DEFERRED)))

    assert 0x71 not in found
    assert "x-opt-locked-until" not in found[0x72]
    assert found[0x72]["x-opt-message-state"] == 1


def test_annotations_a_sender_copied_from_a_received_message_do_not_win(payload):
    forged = codec.described(0x72, codec.map_([codec.symbol("x-opt-sequence-number") + codec.long(999)]))
    message = Message(parse(forged + codec.described(0x75, codec.binary(b"x"))), 7, 1_000)

    assert values(encode(message))[0x72]["x-opt-sequence-number"] == 7


@pytest.mark.parametrize("with_properties", [True, False])
def test_a_dead_letter_has_the_reason_among_its_application_properties(content, with_properties):
    own = [codec.string("colour") + codec.string("red"), codec.string("DeadLetterReason") + codec.string("old")]
    section = codec.described(0x74, codec.map_(own)) if with_properties else b""
    sent = parse(codec.described(0x73, codec.list_([])) + section + codec.described(0x75, codec.binary(b"body")))
    message = Message(sent, 7, 1_000, dead_letter_reason="Odd", dead_letter_description="three legs")

    found = values(encode(message))

    reasons = {"DeadLetterReason": "Odd", "DeadLetterErrorDescription": "three legs"}
    assert found[0x74] == ({"colour": "red"} | reasons if with_properties else reasons)
    assert found[0x75] == b"body"


def test_a_batch_is_split_into_the_messages_in_it(payload):
    inner = [payload(b"one."), payload(b"two.")]
    batch = b"".join(codec.described(0x75, codec.binary(one)) for one in inner)

    assert split_batch(batch) == inner


@pytest.mark.parametrize("broken", [b"", b"hello", codec.described(0x24, codec.list_([])), b"\x00\x53\x75\xa0\x09x"])
def test_what_is_no_message_is_refused(broken):
    with pytest.raises(DecodeError):
        parse(broken)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
@given(data=st.data())
def test_whatever_is_accepted_can_be_delivered_and_dead_lettered(payload, data):
    """A message that broke its receiver's delivery, later, would stop the queue."""
    raw = bytearray(payload(b"body", message_id="m", session_id="s", ttl=5_000, scheduled_for=42))
    raw += codec.described(0x74, codec.map_([codec.string("colour") + codec.string("red")]))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        content = parse(bytes(raw))
    except DecodeError:
        return
    for reason in (None, "Odd"):
        message = Message(content, 7, 1_000, dead_letter_reason=reason, lock_token=uuid.UUID(int=1))
        message.expires_at = None if content.ttl is None else message.enqueued_at + content.ttl
        assert sections(encode(message))

"""Frames: cut from a stream, decoded, and long deliveries in fragments the SDK can put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.service_bus_emulator import codec, frames
from devtools.service_bus_emulator.codec import NULL, DecodeError, Described
from devtools.service_bus_emulator.frames import Attach, Disposition, Flow, Transfer


def test_a_stream_is_cut_into_frames_however_it_is_chopped():
    stream = frames.HEARTBEAT + frames.end(3) + frames.close()
    buffer = bytearray()
    found = []
    for byte in stream:
        buffer.append(byte)
        while (raw := frames.take(buffer)) is not None:
            found.append(raw)

    assert found == [frames.HEARTBEAT, frames.end(3), frames.close()]
    assert not buffer


@pytest.mark.parametrize("size", [0, 7, frames.MAX_FRAME_SIZE + 1, 2**32 - 1])
def test_a_frame_of_an_impossible_size_is_refused_before_it_is_awaited(size):
    with pytest.raises(DecodeError, match="allowed are 8 to"):
        frames.take(bytearray(size.to_bytes(4) + b"\x02\x00\x00\x00"))


def test_a_frame_body_that_is_no_performative_is_refused():
    with pytest.raises(DecodeError):
        frames.decode(frames.frame(0, codec.string("hello")))


def test_an_empty_frame_is_a_heartbeat():
    assert frames.decode(frames.HEARTBEAT).performative is None


@given(st.binary(min_size=1, max_size=5000), st.integers(512, 2000))
def test_the_fragments_of_a_delivery_are_the_payload_and_fit_the_frame_size(payload, max_frame_size):
    raws = frames.transfer(1, 2, 3, b"t" * 16, settled=False, payload=payload, max_frame_size=max_frame_size)

    fragments = [frames.decode(raw) for raw in raws]

    assert all(len(raw) <= max_frame_size for raw in raws)
    assert b"".join(fragment.payload for fragment in fragments) == payload
    assert [bool(fragment.performative.more) for fragment in fragments] == [True] * (len(raws) - 1) + [False]


def test_fragments_after_the_first_carry_neither_delivery_id_nor_tag():
    """With them the SDK takes the fragment for a new delivery and loses the tag of the first."""
    raws = frames.transfer(1, 2, 3, b"t" * 16, settled=False, payload=bytes(1000), max_frame_size=512)

    first, *rest = [frames.decode(raw).performative for raw in raws]

    assert (first.delivery_id, first.delivery_tag) == (3, b"t" * 16)
    assert rest
    assert {(fragment.delivery_id, fragment.delivery_tag) for fragment in rest} == {(None, None)}


def test_an_error_has_all_three_fields():
    """The SDK reads the third one unguarded: with two, send_messages hangs for ever."""
    value, _ = codec.decode(frames.error("amqp:not-found", "gone"))

    assert value == Described(frames.ERROR, ["amqp:not-found", "gone", {}])


def test_a_performative_is_read_as_it_was_written():
    asked = Attach(name="link", handle=4, role=True, snd_settle_mode=0, rcv_settle_mode=1)
    attach = frames.decode(frames.attach(1, asked, source=NULL, target=NULL)).performative
    flow = frames.decode(frames.flow(1, (5, 6), (4, 7, 8), drain=True)).performative
    settled = frames.decode(
        frames.disposition(1, role=False, delivery_id=9, state=frames.outcome(frames.ACCEPTED))
    ).performative

    assert (attach.name, attach.handle, attach.role, attach.rcv_settle_mode) == ("link", 4, False, 1)
    assert flow == Flow(5, frames.WINDOW, 6, frames.WINDOW, 4, 7, 8, None, True)
    assert settled == Disposition(False, 9, 9, True, Described(frames.ACCEPTED, []))
    assert Transfer._fields[:3] == ("handle", "delivery_id", "delivery_tag")

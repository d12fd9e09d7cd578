"""A connection, byte by byte: what strangers send is answered or refused, and never harms the broker."""

import asyncio
import random
import uuid

import pytest

from devtools.service_bus_emulator import codec, frames
from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.codec import NULL
from devtools.service_bus_emulator.connection import Connection
from devtools.service_bus_emulator.frames import Attach, Close, Detach, Disposition, Flow, Open, Transfer
from devtools.service_bus_emulator.journal import NoJournal
from devtools.service_bus_emulator.messages import BATCH_FORMAT
from devtools.service_bus_emulator.properties import QueueProperties


class FakeTransport(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


class Client:
    """Speaks frames to a connection and reads what comes back."""

    def __init__(self, broker):
        self.connection = Connection(broker)
        self.transport = FakeTransport()
        self.connection.connection_made(self.transport)

    def say(self, *raws):
        self.connection.data_received(b"".join(raws))

    def hear(self, kind):
        """The performatives of one kind that came since the last call; headers must be gone by then."""
        found = []
        while (raw := frames.take(self.transport.written)) is not None:
            performative = frames.decode(raw).performative
            if isinstance(performative, kind):
                found.append(performative)
        return found

    def open(self):
        self.say(frames.AMQP_HEADER, frames.open_("me", 1000))
        del self.transport.written[:8]
        self.say(performative(0x11, NULL, codec.uint(0), codec.uint(100), codec.uint(100)))
        return self

    def attach_sender(self, address):
        target = frames.terminus(frames.TARGET, address)
        source = frames.terminus(frames.SOURCE, None)
        fields = [codec.string("me"), codec.uint(0), codec.FALSE, codec.ubyte(0), codec.ubyte(1), source, target]
        self.say(performative(0x12, *fields))

    def attach_receiver(self, address, credit):
        source, target = frames.terminus(frames.SOURCE, address), frames.terminus(frames.TARGET, None)
        fields = [codec.string("you"), codec.uint(1), codec.TRUE, codec.ubyte(0), codec.ubyte(1), source, target]
        self.say(performative(0x12, *fields), frames.flow(0, (1 << 30, 0), (1, 0, credit)))

    def settle(self, first, last):
        state = frames.outcome(frames.ACCEPTED)
        self.say(performative(0x15, codec.TRUE, codec.uint(first), codec.uint(last), codec.FALSE, state))

    def transfer(self, number, payload, *, message_format=0, more=False):
        fields = [codec.uint(0), codec.uint(number), codec.binary(b"t"), codec.uint(message_format), codec.FALSE]
        self.say(performative(0x14, *fields, codec.boolean(more), payload=payload))


def performative(code, *fields, payload=b""):
    return frames.frame(0, codec.described(code, codec.list_(fields)) + payload)


@pytest.fixture
def broker(clock):
    broker = Broker(NoJournal(), clock)
    broker.create("orders", QueueProperties())
    return broker


@pytest.fixture
async def client(broker):
    client = Client(broker)
    yield client
    client.connection.connection_lost(None)


async def test_headers_are_echoed_and_a_pipelined_open_is_answered(client):
    client.say(frames.AMQP_HEADER + frames.open_("me", 1000))

    assert client.transport.written.startswith(frames.AMQP_HEADER)
    del client.transport.written[:8]
    assert [answer.max_frame_size for answer in client.hear(Open)] == [frames.MAX_FRAME_SIZE]


async def test_a_message_in_single_bytes_is_received_whole(client, broker, payload):
    client.open().attach_sender("amqps://127.0.0.1:1/Orders")
    before = performative(0x14, codec.uint(0), codec.uint(5), codec.binary(b"t"), codec.uint(0), payload=payload())
    for byte in before:
        client.say(bytes([byte]))

    assert [(said.first, said.state.descriptor) for said in client.hear(Disposition)] == [(5, frames.ACCEPTED)]
    assert len(broker.entity("orders").messages) == 1


async def test_an_unknown_address_is_refused_with_a_reason(client):
    client.open().attach_sender("nothing")
    heard = client.hear((Attach, Detach))

    assert (heard[0].source, heard[0].target) == (None, None)
    assert heard[1].error.value[0] == "amqp:not-found"


async def test_a_message_over_the_limit_is_rejected_and_not_gathered(client, broker):
    client.open().attach_sender("orders")
    for number in range(10):
        client.transfer(1, bytes(50_000), more=number < 9)

    (said,) = client.hear(Disposition)
    assert said.state.descriptor == frames.REJECTED
    assert said.state.value[0].value[0] == "amqp:link:message-size-exceeded"
    assert broker.entity("orders").messages == {}


@pytest.mark.parametrize("message_format", [0, BATCH_FORMAT])
async def test_a_transfer_that_is_no_message_is_rejected_and_the_next_one_taken(client, payload, message_format):
    client.open().attach_sender("orders")
    client.transfer(1, b"nonsense", message_format=message_format)
    client.transfer(2, payload())

    assert [said.state.descriptor for said in client.hear(Disposition)] == [frames.REJECTED, frames.ACCEPTED]


async def test_a_batch_with_one_broken_message_is_rejected_whole(client, broker, payload):
    client.open().attach_sender("orders")
    batch = b"".join(codec.described(0x75, codec.binary(inner)) for inner in (payload(), b"nonsense"))
    client.transfer(1, batch, message_format=BATCH_FORMAT)

    assert [said.state.descriptor for said in client.hear(Disposition)] == [frames.REJECTED]
    assert broker.entity("orders").messages == {}


async def test_a_deleted_queue_takes_no_more_messages(client, broker, payload):
    client.open().attach_sender("orders")
    broker.delete("orders")
    client.transfer(1, payload())

    assert client.hear(Disposition)[0].state.value[0].value[0] == "amqp:not-found"


async def test_a_credit_that_runs_low_is_filled_up(client, payload):
    client.open().attach_sender("orders")
    client.hear(Attach)
    for number in range(501):
        client.transfer(number, payload())

    assert [flow.link_credit for flow in client.hear(Flow)] == [1000]


async def test_a_range_of_settlements_is_answered_one_by_one(client, broker, content):
    """The SDK waits for one frame per delivery: merged answers cost it 0.2 s each."""
    broker.entity("orders").send_all([content(), content(), content()])
    client.open().attach_receiver("orders", credit=10)
    delivered = [transfer.delivery_id for transfer in client.hear(Transfer)]

    client.settle(delivered[0], delivered[-1])

    answers = client.hear(Disposition)
    assert [(said.role, said.first, said.last, said.settled) for said in answers] == [
        (False, number, number, True) for number in delivered
    ]
    assert broker.entity("orders").messages == {}


async def test_credit_is_never_exceeded_and_draining_gives_the_rest_back(client, broker, content):
    broker.entity("orders").send_all([content(), content(), content()])
    client.open().attach_receiver("orders", credit=2)
    assert len(client.hear(Transfer)) == 2

    client.say(frames.flow(0, ((1 << 30) + 2, 0), (1, 2, 5), drain=True))

    heard = client.hear((Transfer, Flow))
    assert isinstance(heard[0], Transfer)
    assert (heard[1].delivery_count, heard[1].link_credit, heard[1].drain) == (7, 0, True)


async def test_a_settlement_after_the_link_is_gone_is_met_with_silence_and_the_lock_stays(client, broker, content):
    """Silence makes the SDK settle through `$management`, where the lock is still good."""
    queue = broker.entity("orders")
    queue.send(content())
    client.open().attach_receiver("orders", credit=1)
    (delivered,) = client.hear(Transfer)
    client.say(frames.detach(0, 1))

    client.settle(delivered.delivery_id, delivered.delivery_id)

    assert client.hear(Disposition) == []
    queue.complete(uuid.UUID(bytes_le=delivered.delivery_tag))
    assert queue.messages == {}


async def test_nothing_is_delivered_beyond_the_session_window_until_it_opens(client, broker, content):
    def window_of_100(seen):
        numbers = ((1 << 30) + seen, 100, 0, 100, 1, 0, 1000)
        return performative(0x13, *(codec.uint(number) for number in numbers))

    broker.entity("orders").send_all([content()] * 150)
    client.open().attach_receiver("orders", credit=0)

    client.say(window_of_100(seen=0))
    assert len(client.hear(Transfer)) == 100
    client.say(window_of_100(seen=100))
    assert len(client.hear(Transfer)) == 50


async def test_broken_frames_close_the_connection_with_a_reason(client):
    client.open()
    client.say(frames.frame(0, b"\xff\xff"))

    (said,) = client.hear(Close)
    assert said.error.value[0] == "amqp:decode-error"
    await asyncio.sleep(0)
    assert client.transport.closed


async def test_noise_never_harms_other_clients(client, broker, payload, caplog):
    """Frames with every kind of wrong content: each stranger is closed or ignored, the good client goes on."""
    chance = random.Random(7)
    client.open().attach_sender("orders")
    for _ in range(300):
        stranger = Client(broker).open()
        for _ in range(3):
            fields = [
                chance.choice([NULL, codec.TRUE, codec.uint(0), codec.string("x"), codec.list_([])]) for _ in "1234567"
            ]
            stranger.say(performative(chance.choice([0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x41]), *fields))
        stranger.say(chance.randbytes(40))
        stranger.connection.connection_lost(None)

    client.transfer(1, payload())

    assert client.hear(Disposition)[0].state.descriptor == frames.ACCEPTED
    assert "unexpected error" not in caplog.text

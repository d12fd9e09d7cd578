"""The simulated broker where it is stricter than a fake need be: locks, the duplicates' window, bad luck.

That it keeps what every broker promises is tested with the others, in tests/integration/test_contract_broker.py.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.service_bus import Outgoing
from tests.fakes.memory_broker import Clock
from tests.simulation.broker import DEAD, LOCK_SECONDS, MOST_OVERTAKEN, WINDOW_SECONDS, SimulatedBroker

LOCK, WINDOW, MOMENT = timedelta(seconds=LOCK_SECONDS), timedelta(seconds=WINDOW_SECONDS), timedelta(milliseconds=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def broker_of(clock: Clock, **chances: float) -> SimulatedBroker:
    return SimulatedBroker(random.Random(1), clock.now, **chances)


async def test_a_lock_ends_and_its_holder_can_settle_nothing_any_more(clock: Clock):
    """The zombie's complete must not take the message away from whoever has it now."""
    broker = broker_of(clock)
    await broker.send([Outgoing("mine", b"", "a")])
    first = broker.receive()
    assert first is not None
    lock = first.lock
    clock.moment += LOCK - MOMENT
    assert broker.receive() is None
    clock.moment += MOMENT
    second = broker.receive()
    assert second is first
    broker.complete(first, lock)
    broker.abandon(first, lock)
    assert broker.holds(second, second.lock)
    assert broker.ended["lock lost"] == 1
    broker.complete(second, second.lock)
    assert broker.messages == []


@pytest.mark.parametrize(("later", "kept"), [(WINDOW - MOMENT, 1), (WINDOW, 2)])
async def test_the_same_id_is_dropped_just_inside_the_window_and_kept_just_outside(
    clock: Clock, later: timedelta, kept: int
):
    broker = broker_of(clock)
    await broker.send([Outgoing("mine", b"", "a")])
    clock.moment += later
    await broker.send([Outgoing("mine", b"", "a")])
    assert len(broker.messages) == kept


async def test_no_message_is_overtaken_for_ever(clock: Clock):
    broker = broker_of(clock)
    await broker.send([Outgoing("mine", b"", "old")])
    clock.moment += MOMENT
    for number in range(1000):
        await broker.send([Outgoing("mine", b"", f"new{number}")])
        message = broker.receive()
        assert message is not None
        if message.outgoing.message_id == "old":
            break
        broker.complete(message, message.lock)
    assert number <= MOST_OVERTAKEN


@pytest.mark.parametrize(
    ("chance", "queue", "earliest"),
    [("expired", "mine" + DEAD, NOON), ("late", "mine", NOON + timedelta(seconds=1))],
)
async def test_bad_luck_is_dealt_when_a_message_is_accepted(clock: Clock, chance: str, queue: str, earliest: datetime):
    broker = broker_of(clock, **{chance: 1.0})
    await broker.send([Outgoing("mine", b"", "a")])
    (message,) = broker.messages
    assert message.queue == queue
    assert message.available_at >= earliest


async def test_a_lost_message_and_a_repeated_one_are_counted(clock: Clock):
    lossy = broker_of(clock, lost=1.0)
    await lossy.send([Outgoing("mine", b"", "a")])
    assert (lossy.messages, lossy.ended["lost"]) == ([], 1)
    repeating = broker_of(clock, duplicate=1.0)
    await repeating.send([Outgoing("mine", b"", "a")])
    message = repeating.receive()
    assert message is not None
    repeating.complete(message, message.lock)
    assert repeating.receive() is message

"""A plain queue: send, lock, settle, and what time does to a message."""

import uuid
from itertools import pairwise

import pytest

from devtools.service_bus_emulator.errors import MessageLockLost, MessageNotFound, NotAllowed
from devtools.service_bus_emulator.messages import State


def bodies(messages):
    return [message.content.payload[-4:] for message in messages]


def test_messages_come_in_the_order_they_were_sent(make_queue, content):
    queue = make_queue()
    for body in (b"one.", b"two.", b"thre"):
        queue.send(content(body))

    assert bodies([queue.receive(), queue.receive(), queue.receive()]) == [b"one.", b"two.", b"thre"]
    assert queue.receive() is None


def test_a_completed_message_is_gone(make_queue, content):
    queue = make_queue()
    queue.send(content())

    queue.complete(queue.receive().lock_token)

    assert queue.messages == {}


def test_a_message_taken_without_a_lock_is_gone_at_once(make_queue, content):
    queue = make_queue()
    queue.send(content())

    assert queue.take().lock_token is None
    assert queue.messages == {}


def test_a_locked_message_is_given_to_nobody_else(make_queue, content, clock):
    queue = make_queue()
    queue.send(content())
    queue.receive()

    clock.advance(29.9)

    assert queue.receive() is None


def test_a_lost_lock_counts_as_an_attempt_and_frees_the_message(make_queue, content, clock):
    queue = make_queue()
    queue.send(content())
    lost = queue.receive().lock_token
    clock.advance(30)

    again = queue.receive()

    assert again.delivery_count == 1
    for settle in (queue.complete, queue.abandon, queue.defer, queue.release, queue.renew):
        with pytest.raises(MessageLockLost):
            settle(lost)


def test_a_renewed_lock_lasts_its_whole_duration_again(make_queue, content, clock):
    queue = make_queue()
    queue.send(content())
    token = queue.receive().lock_token
    clock.advance(20)

    assert queue.renew(token) == clock.now + 30_000
    clock.advance(29)
    assert queue.receive() is None
    clock.advance(1)
    assert queue.receive().delivery_count == 1


def test_an_abandoned_message_keeps_its_place(make_queue, content):
    queue = make_queue()
    queue.send(content(b"one."))
    queue.send(content(b"two."))

    queue.abandon(queue.receive().lock_token)

    assert bodies([queue.receive(), queue.receive()]) == [b"one.", b"two."]


def test_a_released_message_does_not_count_as_attempted(make_queue, content):
    queue = make_queue(max_delivery_count=1)
    queue.send(content())

    queue.release(queue.receive().lock_token)

    assert queue.receive().delivery_count == 0


@pytest.mark.parametrize("by", ["abandon", "expiry"])
def test_the_last_allowed_attempt_makes_a_dead_letter(make_queue, content, clock, by):
    queue = make_queue(max_delivery_count=3)
    sequence = queue.send(content())

    for _ in range(3):
        token = queue.receive().lock_token
        queue.abandon(token) if by == "abandon" else clock.advance(30)

    assert queue.receive() is None
    dead = queue.dead_letters.receive()
    assert (dead.sequence, dead.delivery_count, dead.dead_letter_reason) == (sequence, 3, "MaxDeliveryCountExceeded")


def test_a_dead_letter_carries_the_reason_it_was_given(make_queue, content):
    queue = make_queue()
    queue.send(content())

    queue.dead_letter(queue.receive().lock_token, "Odd", "three legs")

    dead = queue.dead_letters.receive()
    assert (dead.dead_letter_reason, dead.dead_letter_description) == ("Odd", "three legs")


def test_a_dead_letter_cannot_die_again_and_has_no_delivery_limit(make_queue, content):
    queue = make_queue(max_delivery_count=1)
    queue.send(content())
    queue.abandon(queue.receive().lock_token)

    for _ in range(5):
        queue.dead_letters.abandon(queue.dead_letters.receive().lock_token)

    locked = queue.dead_letters.receive()
    with pytest.raises(NotAllowed):
        queue.dead_letters.dead_letter(locked.lock_token, None, None)
    queue.dead_letters.complete(locked.lock_token)
    assert queue.dead_letters.messages == {}


def test_a_deferred_message_comes_only_by_its_number(make_queue, content):
    queue = make_queue()
    sequence = queue.send(content())
    queue.defer(queue.receive().lock_token)

    assert queue.receive() is None
    (message,) = queue.receive_deferred([sequence], lock=True)
    with pytest.raises(MessageNotFound):
        queue.receive_deferred([sequence], lock=True)
    queue.abandon(message.lock_token)
    assert queue.receive() is None
    assert queue.messages[sequence].state is State.DEFERRED


def test_deferred_messages_are_received_all_or_none(make_queue, content):
    queue = make_queue()
    sequence = queue.send(content())
    queue.defer(queue.receive().lock_token)

    with pytest.raises(MessageNotFound):
        queue.receive_deferred([sequence, 99], lock=False)

    assert len(queue.receive_deferred([sequence, sequence], lock=False)) == 1


def test_a_message_expires_after_the_shorter_of_its_own_and_the_queues_time(make_queue, content, clock):
    queue = make_queue(default_ttl=60_000)
    queue.send(content(b"shor", ttl=10_000))
    queue.send(content(b"long", ttl=90_000))

    clock.advance(10)
    assert bodies(queue.peek(0, 10)) == [b"long"]
    clock.advance(50)
    assert queue.peek(0, 10) == []
    assert queue.dead_letters.messages == {}


def test_an_expired_message_becomes_a_dead_letter_if_the_queue_says_so(make_queue, content, clock):
    queue = make_queue(default_ttl=1_000, dead_letters_expired=True)
    queue.send(content())

    clock.advance(1)
    queue.advance()

    assert queue.dead_letters.receive().dead_letter_reason == "TTLExpiredException"


def test_dead_letters_do_not_expire(make_queue, content, clock):
    queue = make_queue(default_ttl=1_000)
    queue.send(content(ttl=1_000))
    queue.dead_letter(queue.receive().lock_token, None, None)

    clock.advance(1_000_000)

    assert queue.dead_letters.receive() is not None


def test_a_locked_message_expires_only_when_its_lock_ends(make_queue, content, clock):
    queue = make_queue(default_ttl=1_000)
    queue.send(content())
    token = queue.receive().lock_token
    clock.advance(2)
    queue.advance()

    assert len(queue.messages) == 1
    queue.abandon(token)
    assert queue.messages == {}


def test_a_deferred_message_expires_too(make_queue, content, clock):
    queue = make_queue(default_ttl=1_000)
    queue.send(content())
    queue.defer(queue.receive().lock_token)

    clock.advance(1)
    queue.advance()

    assert queue.messages == {}


def test_a_scheduled_message_appears_at_its_time_with_a_new_number(make_queue, content, clock):
    queue = make_queue()
    scheduled = queue.send(content(b"late", scheduled_for=clock.now + 5_000))
    queue.send(content(b"now."))

    assert bodies([queue.receive()]) == [b"now."]
    assert queue.receive() is None
    clock.advance(5)
    late = queue.receive()
    assert bodies([late]) == [b"late"]
    assert late.sequence > scheduled
    assert late.enqueued_at == clock.now


def test_a_time_in_the_past_schedules_nothing(make_queue, content, clock):
    queue = make_queue()
    queue.send(content(scheduled_for=clock.now - 1))

    assert queue.receive() is not None


def test_the_life_of_a_scheduled_message_begins_at_its_time(make_queue, content, clock):
    queue = make_queue()
    queue.send(content(scheduled_for=clock.now + 5_000, ttl=1_000))

    clock.advance(5.9)
    assert len(queue.peek(0, 10)) == 1
    clock.advance(0.1)
    assert queue.peek(0, 10) == []


def test_a_cancelled_message_never_appears(make_queue, content, clock):
    queue = make_queue()
    sequence = queue.send(content(scheduled_for=clock.now + 5_000))

    queue.cancel([sequence])
    clock.advance(5)

    assert queue.receive() is None
    with pytest.raises(MessageNotFound):
        queue.cancel([sequence])


def test_only_scheduled_messages_can_be_cancelled_and_all_or_none(make_queue, content, clock):
    queue = make_queue()
    scheduled = queue.send(content(scheduled_for=clock.now + 5_000))
    active = queue.send(content())

    with pytest.raises(MessageNotFound):
        queue.cancel([scheduled, active])

    assert set(queue.messages) == {scheduled, active}


def test_a_repeated_message_id_is_dropped_within_the_window(make_queue, content, clock):
    queue = make_queue(detects_duplicates=True, duplicate_window=60_000)
    queue.send(content(message_id="a"))
    queue.complete(queue.receive().lock_token)

    clock.advance(59.9)
    queue.send(content(message_id="a"))
    assert queue.receive() is None
    clock.advance(0.1)
    queue.send(content(message_id="a"))
    assert queue.receive() is not None


def test_scheduled_messages_are_duplicates_like_others(make_queue, content, clock):
    queue = make_queue(detects_duplicates=True)
    queue.send(content(message_id="a", scheduled_for=clock.now + 5_000))
    queue.send(content(message_id="a"))
    queue.send(content(message_id="a", scheduled_for=clock.now + 9_000))

    assert [message.state for message in queue.peek(0, 10)] == [State.SCHEDULED]


def test_messages_without_an_id_are_never_duplicates(make_queue, content):
    queue = make_queue(detects_duplicates=True)
    queue.send_all([content(), content()])

    assert len(queue.messages) == 2


def test_a_queue_without_detection_takes_the_same_id_twice(make_queue, content):
    queue = make_queue()
    queue.send_all([content(message_id="a"), content(message_id="a")])

    assert len(queue.messages) == 2


def test_peek_shows_every_state_by_number_and_locks_nothing(make_queue, content, clock):
    queue = make_queue()
    queue.send(content())
    queue.defer(queue.receive().lock_token)
    queue.send(content(scheduled_for=clock.now + 5_000))
    queue.send(content())

    states = [message.state for message in queue.peek(0, 10)]

    assert states == [State.DEFERRED, State.SCHEDULED, State.ACTIVE]
    assert [message.sequence for message in queue.peek(2, 1)] == [2]
    assert queue.receive() is not None


def test_counts_tell_how_many_messages_are_in_each_state(make_queue, content, clock):
    queue = make_queue()
    queue.send_all([content(), content(), content(scheduled_for=clock.now + 5_000)])
    queue.receive()

    assert queue.counts() == {State.ACTIVE: 2, State.SCHEDULED: 1}


def test_an_unknown_lock_token_settles_nothing(make_queue, content):
    queue = make_queue()
    queue.send(content())
    queue.receive()

    with pytest.raises(MessageLockLost):
        queue.complete(uuid.uuid4())

    assert len(queue.messages) == 1


def test_forgotten_timers_are_swept_and_the_living_keep_theirs(make_queue, content, clock):
    """Every message arms timers; a queue that runs for weeks must not keep those of messages it completed."""
    queue = make_queue(default_ttl=1_000_000)
    queue.send(content(b"stay"))
    staying = queue.receive()
    for _ in range(12_000):
        queue.send(content())
        queue.complete(queue.receive().lock_token)

    assert len(queue._timers) < 12_000
    clock.advance(30)
    assert queue.receive() is staying


def test_sequence_numbers_only_grow(make_queue, content, clock):
    queue = make_queue(detects_duplicates=True)
    numbers = [queue.send(content(message_id=name)) for name in ("a", "b", "a", "c")]

    assert all(earlier < later for earlier, later in pairwise(numbers))

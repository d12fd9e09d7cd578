"""Sessions: who may receive what, for how long, and what a session remembers."""

import pytest

from devtools.service_bus_emulator.errors import NotAllowed, SessionCannotBeLocked, SessionLockLost
from devtools.service_bus_emulator.session_queue import ALL_SESSIONS, GRACE


def never():
    raise AssertionError("the session was lost")


@pytest.fixture
def queue(make_queue):
    return make_queue(requires_session=True, max_delivery_count=2)


def test_a_message_without_a_session_is_refused_with_its_whole_batch(queue, content):
    with pytest.raises(NotAllowed):
        queue.send_all([content(session_id="a"), content()])

    assert queue.messages == {}


def test_a_receiver_gets_the_messages_of_its_session_only(queue, content):
    queue.send_all([content(b"a1..", session_id="a"), content(b"b1..", session_id="b")])

    assert queue.accept("b", never) == "b"
    assert queue.receive("b").content.session_id == "b"
    assert queue.receive("b") is None


def test_the_next_session_is_the_one_with_the_oldest_message(queue, content):
    queue.send_all([content(session_id="a"), content(session_id="b")])

    assert [queue.accept(None, never) for _ in range(3)] == ["a", "b", None]


def test_a_session_is_locked_once(queue):
    queue.accept("a", never)

    with pytest.raises(SessionCannotBeLocked):
        queue.accept("a", never)


def test_an_empty_session_can_be_accepted_by_name_but_not_as_the_next(queue):
    assert queue.accept(None, never) is None
    assert queue.accept("a", never) == "a"


def test_releasing_a_session_frees_its_messages_without_counting(queue, content):
    queue.send(content(session_id="a"))
    queue.accept("a", never)
    token = queue.receive("a").lock_token

    queue.release_session("a")

    with pytest.raises(SessionLockLost):
        queue.complete(token)
    assert queue.accept(None, never) == "a"
    assert queue.receive("a").delivery_count == 0


def test_a_lost_session_tells_its_receiver_and_counts_the_attempt(queue, content, clock):
    lost = []
    queue.send(content(session_id="a"))
    queue.accept("a", lambda: lost.append("a"))
    queue.receive("a")

    clock.advance(30 + GRACE / 1000)
    queue.advance()

    assert lost == ["a"]
    queue.accept("a", never)
    assert queue.receive("a").delivery_count == 1


def test_messages_stay_locked_as_long_as_their_session_is_renewed(queue, content, clock):
    queue.send(content(session_id="a"))
    queue.accept("a", never)
    token = queue.receive("a").lock_token

    for _ in range(4):
        clock.advance(25)
        assert queue.renew_session("a") == clock.now + 30_000
    queue.complete(token)

    assert queue.messages == {}


def test_a_session_taken_again_is_not_lost_with_the_time_of_the_first_lock(queue, clock):
    queue.accept("a", never)
    clock.advance(20)
    queue.release_session("a")
    queue.accept("a", never)

    clock.advance(20)
    queue.advance()

    assert queue.renew_session("a")


def test_a_state_belongs_to_the_session_and_outlives_its_lock(queue):
    queue.accept("a", never)
    assert queue.session_state("a") is None
    queue.set_session_state("a", b"half way")
    queue.release_session("a")

    with pytest.raises(SessionLockLost):
        queue.session_state("a")
    queue.accept("a", never)
    assert queue.session_state("a") == b"half way"
    queue.set_session_state("a", None)
    assert queue.session_state("a") is None


def test_sessions_are_listed_by_messages_or_state_or_by_the_time_of_the_state(queue, content, clock):
    queue.send(content(session_id="b"))
    queue.accept("a", never)
    queue.set_session_state("a", b"x")

    assert queue.session_ids(ALL_SESSIONS) == ["a", "b"]
    assert queue.session_ids(clock.now - 1) == ["a"]
    assert queue.session_ids(clock.now) == []


def test_a_deferred_message_comes_back_within_its_session(queue, content):
    sequence = queue.send(content(session_id="a"))
    queue.accept("a", never)
    queue.defer(queue.receive("a").lock_token)

    (message,) = queue.receive_deferred([sequence], lock=True, line="a")
    queue.complete(message.lock_token)

    assert queue.messages == {}


def test_who_lost_the_session_gets_nothing_of_it_any_more(queue, content, clock):
    """Also when the lock ends in the very call that asks for a message."""
    lost = []
    deferred, _ = queue.send_all([content(session_id="a"), content(session_id="a")])
    queue.accept("a", lambda: lost.append("a"))
    queue.defer(queue.receive("a").lock_token)
    clock.advance(30 + GRACE / 1000)

    assert queue.receive("a") is None
    assert queue.take("a") is None
    with pytest.raises(SessionLockLost):
        queue.receive_deferred([deferred], lock=True, line="a")
    assert lost == ["a"]
    queue.accept("a", never)
    assert len(queue.receive_deferred([deferred], lock=False, line="a")) == 1


def test_dead_letters_of_a_session_queue_need_no_session(queue, content):
    queue.send(content(session_id="a"))
    queue.accept("a", never)
    for _ in range(2):
        queue.abandon(queue.receive("a").lock_token)

    assert queue.dead_letters.receive().dead_letter_reason == "MaxDeliveryCountExceeded"

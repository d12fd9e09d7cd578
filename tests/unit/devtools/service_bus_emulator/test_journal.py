"""The journal: what was committed is there after the process is gone, and nothing that was settled returns."""

import sqlite3

import pytest

from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.errors import JournalFailed, StartError
from devtools.service_bus_emulator.journal import SqliteJournal
from devtools.service_bus_emulator.messages import State
from devtools.service_bus_emulator.properties import QueueProperties


@pytest.fixture
def restart(tmp_path, clock):
    """A broker on the journal as it was committed, and its queue `orders`; the one before is simply gone.

    Closing the database without a commit is what a killed process does to it.
    """
    journals = []

    def start(**properties):
        for journal in journals:
            journal._db.close()
        journal = SqliteJournal(tmp_path / "journal.db")
        journals.append(journal)
        broker = Broker(journal, clock)
        defaults = {"lock_duration": 30_000, "detects_duplicates": True}
        queue = broker.create("orders", QueueProperties(**defaults | properties))
        broker.restore(journal)
        broker.turn()
        return broker, queue

    yield start
    journals[-1]._db.close()


def test_committed_messages_return_in_order_with_all_they_had(restart, content, clock):
    broker, queue = restart(default_ttl=60_000)
    for body in (b"one.", b"two."):
        queue.send(content(body, session_id="s", message_id=body.decode()))
    queue.abandon(queue.receive().lock_token)
    before = queue.peek(0, 10)
    broker.turn()

    _, queue = restart(default_ttl=60_000)

    after = queue.peek(0, 10)
    assert [message.content for message in after] == [message.content for message in before]
    assert [(m.sequence, m.delivery_count, m.expires_at) for m in after] == [
        (m.sequence, m.delivery_count, m.expires_at) for m in before
    ]
    clock.advance(60)
    assert queue.receive() is None


def test_what_was_not_committed_is_gone_as_it_was_never_acknowledged(restart, content):
    _, queue = restart()
    queue.send(content())

    _, queue = restart()

    assert queue.messages == {}


def test_completed_messages_do_not_return(restart, content):
    broker, queue = restart()
    queue.send(content())
    broker.turn()
    queue.complete(queue.receive().lock_token)
    broker.turn()

    _, queue = restart()

    assert queue.messages == {}


def test_a_scheduled_message_stays_scheduled_and_appears_at_its_time(restart, content, clock):
    broker, queue = restart()
    queue.send(content(scheduled_for=clock.now + 5_000))
    broker.turn()

    _, queue = restart()

    assert queue.receive() is None
    clock.advance(5)
    assert queue.receive() is not None


def test_a_message_whose_time_came_while_nothing_ran_is_there(restart, content, clock):
    broker, queue = restart()
    queue.send(content(scheduled_for=clock.now + 5_000))
    broker.turn()
    clock.advance(3600)

    _, queue = restart()

    assert queue.receive() is not None


def test_the_duplicate_window_goes_on(restart, content, clock):
    broker, queue = restart(duplicate_window=60_000)
    queue.send(content(message_id="a"))
    broker.turn()
    clock.advance(59)

    _, queue = restart(duplicate_window=60_000)

    queue.send(content(message_id="a"))
    assert len(queue.messages) == 1
    clock.advance(1)
    queue.send(content(message_id="a"))
    assert len(queue.messages) == 2


def test_past_duplicates_leave_the_journal(restart, content, clock):
    broker, queue = restart(duplicate_window=60_000)
    queue.send(content(message_id="a"))
    broker.turn()
    clock.advance(60)

    broker.tick()

    assert broker.journal.duplicates("orders") == {}


def test_a_lock_goes_on_and_its_holder_may_still_settle(restart, content):
    broker, queue = restart()
    queue.send(content())
    token = queue.receive().lock_token
    broker.tick()

    _, queue = restart()

    assert queue.receive() is None
    queue.complete(token)
    assert queue.messages == {}


def test_a_lock_that_ended_while_nothing_ran_counts_as_an_attempt(restart, content, clock):
    broker, queue = restart()
    queue.send(content())
    queue.receive()
    broker.tick()
    clock.advance(30)

    _, queue = restart()

    assert queue.receive().delivery_count == 1


def test_a_lock_alone_is_not_worth_a_commit_and_losing_it_frees_the_message(restart, content):
    broker, queue = restart()
    queue.send(content())
    broker.turn()
    queue.receive()
    broker.turn()

    _, queue = restart()

    assert queue.receive().delivery_count == 0


def test_dead_letters_and_deferred_messages_stay_what_they_are(restart, content):
    broker, queue = restart()
    queue.send_all([content(), content()])
    queue.dead_letter(queue.receive().lock_token, "Odd", "three legs")
    deferred = queue.receive()
    queue.defer(deferred.lock_token)
    broker.turn()

    _, queue = restart()

    dead = queue.dead_letters.receive()
    assert (dead.dead_letter_reason, dead.dead_letter_description) == ("Odd", "three legs")
    assert [message.state for message in queue.peek(0, 10)] == [State.DEFERRED]
    assert queue.receive_deferred([deferred.sequence], lock=True)


def test_session_states_stay_and_session_locks_end(restart, content):
    broker, queue = restart(requires_session=True)
    queue.send(content(session_id="a"))
    queue.accept("a", lambda: None)
    queue.receive("a")
    queue.set_session_state("a", b"half way")
    broker.tick()

    _, queue = restart(requires_session=True)

    assert queue.accept(None, lambda: None) == "a"
    assert queue.session_state("a") == b"half way"
    assert queue.receive("a").delivery_count == 0


def test_sequence_numbers_are_not_used_again(restart, content):
    broker, queue = restart()
    last = queue.send(content())
    broker.turn()
    queue.take()
    broker.turn()

    _, queue = restart()

    assert queue.send(content()) > last


def test_a_queue_made_at_run_time_returns_and_a_deleted_one_does_not(restart, content):
    broker, _ = restart()
    broker.create("made", QueueProperties(max_delivery_count=3)).send(content())
    broker.create("deleted", QueueProperties()).send(content())
    broker.turn()
    broker.delete("deleted")
    broker.turn()

    broker, _ = restart()

    assert broker.names() == ["made", "orders"]
    assert broker.entity("made").properties.max_delivery_count == 3
    assert len(broker.entity("made").messages) == 1


def test_a_queue_cannot_gain_sessions_under_its_messages(restart):
    restart()

    with pytest.raises(StartError, match="queue orders: found RequiresSession True, allowed: False"):
        restart(requires_session=True)


def test_a_journal_in_use_is_refused(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")

    with pytest.raises(StartError, match="in use by another emulator"):
        SqliteJournal(tmp_path / "journal.db")

    journal.close()
    SqliteJournal(tmp_path / "journal.db").close()


@pytest.mark.parametrize("kind", ["text", "other database", "newer journal", "folder"])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path, kind):
    path = tmp_path / "journal.db"
    if kind == "text":
        path.write_text("not a database, but a letter to somebody who keeps it " * 20)
    elif kind == "folder":
        path.mkdir()
    else:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE messages (x)" if kind == "other database" else "PRAGMA user_version = 99")
        db.close()

    with pytest.raises(StartError, match=r"journal\.db: (found|cannot open)"):
        SqliteJournal(path)


def test_a_full_disk_stops_the_emulator_before_it_acknowledges(restart, content):
    """A message is acknowledged by flushing the connections, which must not happen after a failed commit."""

    class Outlet:
        flushed = False

        def flush(self):
            self.flushed = True

    broker, queue = restart()
    failures, outlet = [], Outlet()
    broker.on_failure = failures.append
    broker.journal._db.execute("PRAGMA max_page_count = 1")
    queue.send(content(bytes(200_000)))
    broker.has_output(outlet)

    broker.turn()
    broker.turn()

    assert not outlet.flushed
    assert all(isinstance(failure, JournalFailed) for failure in failures)
    assert len(failures) == 2

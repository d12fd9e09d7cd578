"""Where a slice of a run stands, and what a wake-up means there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checkpoint import Checkpoint, RunState, Standing
from shared.errors import ErrorKind
from shared.messages import Priority, StreamKey, WakeUp
from shared.pipeline.loop_guard import LoopGuard

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
KEY = StreamKey("social", "posts", "ann")
BEGUN = Checkpoint.begin(KEY, "run1", NOW, Priority.NORMAL, "run1")
AT_THREE = replace(BEGUN, next_seq=3, group=2, attempt=2, cursor="c3")


def committed(checkpoint: Checkpoint, cursor: str | None = "next", **changes: int) -> Checkpoint:
    facts = {"records": 10, "duplicates": 1, "size": 1000, **changes}
    return checkpoint.committed(LATER, cursor, LoopGuard(), indexed=True, **facts)


def pages_until_tripped(cursors: list[str], limit: int) -> int | None:
    """How many pages a source that names these cursors is asked for, or None if it is never stopped."""
    guard, current = LoopGuard(), None
    for seq, following in enumerate(cursors):
        guard = guard.advance(seq, current, following)
        if guard.tripped(limit):
            return seq + 1
        current = following
    return None


class TestLoopGuard:
    @given(st.lists(st.text(), unique=True, max_size=300), st.integers(1, 5))
    def test_no_sequence_without_a_repeat_trips(self, cursors: list[str], limit: int):
        assert pages_until_tripped(cursors, limit) is None

    @given(
        tail=st.integers(0, 60),
        length=st.integers(1, 60),
        limit=st.integers(1, 8),
    )
    @settings(max_examples=200)
    def test_every_cycle_is_caught(self, tail: int, length: int, limit: int):
        """Wherever it begins and however long it is, within a small multiple of its length for each lap."""
        cursors = [f"tail{number}" for number in range(tail)]
        while len(cursors) < 4 * (tail + (limit + 1) * length + 1):
            cursors += [f"cycle{number}" for number in range(length)]
        caught = pages_until_tripped(cursors, limit)
        assert caught is not None
        assert caught > tail + length * limit

    @given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), st.integers(1, 5))
    def test_a_cycle_that_repeats_cursors_inside_is_caught_too(self, pattern: list[str], limit: int):
        assert pages_until_tripped(pattern * 200, limit) is not None

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_the_same_cursor_trips_at_exactly_the_limit(self, limit: int):
        """The first naming is no repeat; `limit` more of them are."""
        assert pages_until_tripped(["a", *["b"] * 50], limit) == 2 + limit

    def test_a_source_that_stands_still_for_a_while_and_then_goes_on_is_let_go_on(self):
        stuck = [f"{page}" for page in range(50) for _ in range(4)]
        assert pages_until_tripped(stuck, 5) is None

    @given(st.lists(st.text(max_size=20_000), max_size=5))
    def test_it_remembers_little_however_long_the_cursors_are(self, cursors: list[str]):
        guard = LoopGuard()
        for seq, cursor in enumerate(cursors):
            guard = guard.advance(seq, None, cursor)
            assert len(guard.tortoise) <= 16


class TestStanding:
    @pytest.mark.parametrize(
        ("seq", "attempt", "standing"),
        [
            (3, 2, Standing.CURRENT),
            (3, 3, Standing.CURRENT),
            (3, 1, Standing.BEHIND),
            (3, 0, Standing.BEHIND),
            (2, 0, Standing.BEHIND),
            (2, 9, Standing.BEHIND),
            (1, 9, Standing.STALE),
            (0, 0, Standing.STALE),
            (4, 0, Standing.STALE),
        ],
    )
    def test_a_wake_up_stands_by_page_and_attempt(self, seq: int, attempt: int, standing: Standing):
        wake_up = AT_THREE.wake_up().model_copy(update={"seq": seq, "attempt": attempt})
        assert AT_THREE.standing(wake_up) is standing

    @pytest.mark.parametrize("state", list(RunState))
    def test_another_run_is_stale_whatever_the_state(self, state: RunState):
        """Fencing: a message of an older run can't move a newer one."""
        other = AT_THREE.wake_up().model_copy(update={"run": "run0"})
        assert replace(AT_THREE, state=state).standing(other) is Standing.STALE

    @pytest.mark.parametrize("state", [RunState.PARKED, RunState.CANCELLED])
    def test_a_run_that_was_stopped_ignores_its_own_wake_ups(self, state: RunState):
        assert replace(AT_THREE, state=state).standing(AT_THREE.wake_up()) is Standing.STALE

    def test_the_last_wake_up_of_a_run_that_is_done_is_behind(self):
        """Its delivery may never have been woken."""
        done = committed(AT_THREE, None)
        assert done.standing(AT_THREE.wake_up()) is Standing.BEHIND

    def test_the_wake_up_that_a_checkpoint_waits_for_is_current(self):
        for checkpoint in (BEGUN, AT_THREE, AT_THREE.postponed(NOW, LATER), committed(AT_THREE)):
            assert checkpoint.standing(checkpoint.wake_up()) is Standing.CURRENT


class TestTransitions:
    def test_a_commit_moves_one_page_on_and_clears_the_failures(self):
        before = AT_THREE.failed(NOW, LATER, ErrorKind.TEMPORARY, "no")
        after = committed(before)
        assert (after.next_seq, after.attempt, after.cursor) == (4, 0, "next")
        assert (after.failures, after.not_before, after.retries) == (0, None, 1)
        assert (after.records, after.duplicates, after.size, after.index_position) == (10, 1, 1000, 1)
        assert after.state is RunState.RUNNING
        assert after.ended_at is None

    def test_a_commit_without_a_cursor_ends_the_run(self):
        done = committed(AT_THREE, None)
        assert done.state is RunState.DONE
        assert done.ended_at == LATER
        assert not done.is_open

    @pytest.mark.parametrize(
        "again",
        [
            AT_THREE.postponed(NOW, LATER),
            AT_THREE.failed(NOW, LATER, ErrorKind.TEMPORARY, "no"),
            AT_THREE.replayed(NOW, LATER),
            AT_THREE.parked(NOW, "why", None, "").resumed(LATER),
        ],
    )
    def test_every_way_of_trying_again_changes_the_message_id(self, again: Checkpoint):
        """Duplicate detection would drop the old one."""
        assert again.wake_up().message_id != AT_THREE.wake_up().message_id
        assert again.wake_up().seq == 3
        assert again.cursor == "c3"

    def test_a_failure_leaves_its_evidence(self):
        """A dead letter is judged by it later."""
        failed = AT_THREE.failed(NOW, LATER, ErrorKind.RATE_LIMITED, "slow down")
        assert (failed.last_error_kind, failed.last_error) == (ErrorKind.RATE_LIMITED, "slow down")
        assert (failed.failures, failed.retries, failed.not_before) == (1, 1, LATER)

    def test_parking_keeps_the_evidence_it_has(self):
        failed = AT_THREE.failed(NOW, LATER, ErrorKind.RATE_LIMITED, "slow down")
        parked = failed.parked(LATER, "user_paused", None, "")
        assert (parked.last_error_kind, parked.last_error) == (ErrorKind.RATE_LIMITED, "slow down")
        assert (parked.reason, parked.not_before, parked.is_open) == ("user_paused", None, False)

    def test_a_resumed_run_starts_its_counters_anew(self):
        parked = replace(
            AT_THREE.parked(NOW, "cursor_loop", ErrorKind.CURSOR_LOOP, "again"),
            failures=7,
            replays=3,
            guard=LoopGuard(5, 5, "abc"),
        )
        resumed = parked.resumed(LATER)
        assert (resumed.failures, resumed.replays, resumed.reason) == (0, 0, "")
        assert not resumed.guard.tripped(1)
        assert resumed.is_open

    def test_a_new_run_starts_over_but_keeps_the_index_and_the_version(self):
        """The ETag fences off whoever still holds the old run."""
        old = replace(AT_THREE, index_position=9, etag="v9", records=5, guard=LoopGuard(2))
        new = old.begin_again("run2", LATER, Priority.HIGH, "run1")
        assert new == replace(
            Checkpoint.begin(KEY, "run2", LATER, Priority.HIGH, "run1"), index_start=9, index_position=9
        )
        assert new.etag == "v9"

    def test_a_new_run_with_an_index_of_its_own_starts_at_its_beginning(self):
        old = replace(AT_THREE, index_position=9)
        assert old.begin_again("run2", LATER, Priority.NORMAL, "run2").index_position == 0

    def test_a_cancelled_run_is_closed(self):
        cancelled = AT_THREE.cancelled(LATER, "asked for")
        assert (cancelled.is_open, cancelled.ended_at, cancelled.reason) == (False, LATER, "asked for")

    def test_waking_delivery_empties_the_count_of_what_is_staged(self):
        staged = committed(committed(BEGUN)).staging_since(NOW)
        assert (staged.staged_records, staged.staged_bytes, staged.staged_since) == (20, 2000, NOW)
        woken = staged.delivery_woken()
        assert (woken.staged_records, woken.staged_bytes, woken.staged_since) == (0, 0, None)

    def test_the_wake_up_of_delivery_names_the_last_committed_page(self):
        assert committed(AT_THREE).delivery_wake_up() == WakeUp(
            kind="deliver", pipeline="social", stream="posts", user="ann", run="run1", slice="all", seq=3
        )
        assert BEGUN.delivery_wake_up().seq == 0

    def test_the_version_is_no_part_of_what_a_checkpoint_is(self):
        assert replace(AT_THREE, etag="one") == replace(AT_THREE, etag="two")
        assert "etag" not in repr(AT_THREE)

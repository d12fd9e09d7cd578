import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from devtools.cli.summary import Summary, Unmined, show, summarise
from devtools.cli.terminal import results
from shared.adapters.parked_table import Parked
from shared.checkpoint import Checkpoint, RunState
from shared.messages import Priority, StreamKey

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _run(user: str, state: RunState = RunState.DONE, reason: str = "") -> Checkpoint:
    begun = Checkpoint.begin(StreamKey("social", "posts", user), f"run-{user}", NOW, Priority.NORMAL, index="i")
    return replace(
        begun, state=state, reason=reason, last_error=reason and "said no", next_seq=3, records=250, retries=1
    )


def _summary(*runs: Checkpoint, letters: tuple[Parked, ...] = (), skipped: tuple[Unmined, ...] = ()) -> Summary:
    return summarise(runs, letters, list(skipped), output="out", users=2, seconds=2.0, new_pages=5, resumed=False)


def _text(summary: Summary) -> str:
    text = io.StringIO()
    show(summary, results(text))
    return text.getvalue()


def test_all_done_is_exit_status_0():
    summary = _summary(_run("ann"), _run("ben"))
    assert summary.exit_status == 0
    assert (summary.pages, summary.records, summary.retries) == (6, 500, 2)
    assert summary.pages_per_second == 2.5
    assert "500 records of 2 users in out" in _text(summary)


def test_a_parked_run_is_exit_status_1_and_listed_with_its_reason():
    summary = _summary(_run("ann"), _run("ben", RunState.PARKED, "cursor_loop"))
    assert summary.exit_status == 1
    text = _text(summary)
    assert "1 done, 1 parked" in text
    assert "1 cursor_loop" in text
    (line,) = [line for line in text.splitlines() if line.startswith("ben")]
    assert line.split(maxsplit=3) == [
        "ben",
        "social/posts",
        "cursor_loop",
        "said no" + " " * (len(line) - len(line.rstrip())),
    ]


def test_a_parked_message_that_belongs_to_no_run_is_exit_status_1():
    letter = Parked("message/x", "mine", b"?", "malformed", "not a wake-up", NOW)
    summary = _summary(_run("ann"), letters=(letter,))
    assert summary.exit_status == 1
    assert "not a wake-up" in _text(summary)


@pytest.mark.parametrize(("state", "status"), [(RunState.DONE, 0), (RunState.CANCELLED, 1)])
def test_a_cancelled_run_is_not_done(state: RunState, status: int):
    assert _summary(_run("ann", state)).exit_status == status


def test_a_user_who_is_skipped_is_told_and_is_no_error():
    skipped = Unmined("social", "posts", "cem", "user_paused")
    summary = _summary(_run("ann"), skipped=(skipped,))
    assert summary.exit_status == 0
    assert "1 user_paused" in _text(summary)


def test_json_lists_every_parked_run():
    runs = [_run(f"u{number:02}", RunState.PARKED, "temporary") for number in range(30)]
    summary = _summary(*runs)
    shown = json.loads(summary.as_json())
    assert shown["exit_status"] == 1
    assert len(shown["parked"]) == 30
    assert shown["parked"][0] == {
        "pipeline": "social",
        "stream": "posts",
        "user": "u00",
        "reason": "temporary",
        "error": "said no",
    }
    assert "… and 10 more" in _text(summary)


def test_an_error_that_looks_like_markup_is_shown_as_it_is():
    """What a source said is text, not formatting."""
    run = replace(_run("ann", RunState.PARKED, "rejected"), last_error="[bold]no[/bold] [/]")
    assert "[bold]no[/bold] [/]" in _text(_summary(run))

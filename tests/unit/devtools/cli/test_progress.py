import io

from rich.console import Console

from devtools.cli.progress import Display, as_text
from devtools.cli.queue_depth import QueueDepth
from devtools.cli.watching import Progress

PROGRESS = Progress(
    users=200, users_done=34, runs_open=9, pages=1056, records=98_000, retries=7, parked=2, undelivered=3
)


def test_progress_is_one_line_of_everything_that_matters():
    assert as_text(PROGRESS, QueueDepth(waiting=20, dead=1), 12.4) == (
        "12 s  34/200 users  1,056 pages  98,000 records  7 retried  20 queued  1 dead letters  2 parked  3 to deliver"
    )


def test_a_broker_that_does_not_tell_its_depth_is_left_out():
    assert "queued" not in as_text(PROGRESS, None, 0)


def test_without_a_terminal_a_line_comes_only_now_and_then():
    """A log file must not fill with the same numbers."""
    text = io.StringIO()
    with Display(Console(file=text)).running() as display:
        for _ in range(50):
            display.show(PROGRESS, None)
    assert text.getvalue() == ""


def test_on_a_terminal_the_line_changes_and_leaves_nothing_behind():
    text = io.StringIO()
    with Display(Console(file=text, force_terminal=True, width=150)).running() as display:
        display.show(PROGRESS, None)
        display.say("storage is away")
    assert "34/200 users" in text.getvalue()
    assert "storage is away" in text.getvalue()

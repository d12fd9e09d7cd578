import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from devtools.cli.status import by_stream, to_json
from shared.checkpoint import Checkpoint, RunState
from shared.messages import Priority, StreamKey

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _run(stream: str, user: str, state: RunState, minutes: int) -> Checkpoint:
    begun = Checkpoint.begin(StreamKey("social", stream, user), f"run-{user}", NOW, Priority.NORMAL, index="i")
    changed = NOW + timedelta(minutes=minutes)
    return replace(begun, state=state, next_seq=2, records=150, retries=1, updated_at=changed)


def test_streams_are_counted_over_all_users():
    runs = [
        _run("posts", "ann", RunState.DONE, 1),
        _run("posts", "ben", RunState.PARKED, 9),
        _run("comments", "ann", RunState.RUNNING, 5),
    ]
    streams = by_stream(runs)
    posts = streams["social", "posts"]
    assert posts.states == {"done": 1, "parked": 1}
    assert (posts.pages, posts.records, posts.retries) == (4, 300, 2)
    assert posts.last_change == "2026-11-22 00:09:00"
    shown = json.loads(to_json(list(streams.values()), users=2, parked=1))
    assert shown["streams"][1]["states"] == {"running": 1}
    assert shown["parked"] == 1

"""What should be in the output."""

import json

from devtools.demo_api.catalogue import catalogue
from devtools.demo_api.comparison import compare
from devtools.demo_api.faults import Faults
from devtools.demo_api.streams import START, Position
from devtools.demo_api.truth import truth_lines


def test_the_truth_of_one_seed_is_always_the_same() -> None:
    """Until somebody reads and records move."""
    assert list(truth_lines(catalogue(5, 7))) == list(truth_lines(catalogue(5, 7)))


def test_every_user_and_stream_has_a_line_with_its_outcome() -> None:
    """Empty streams and refused users too."""
    made = catalogue(6, 7, faults=Faults(expired_users=1, looping_users=1))
    lines = [json.loads(line) for line in truth_lines(made)]
    assert [(line["user"], line["stream"]) for line in lines] == list(made.streams)
    assert sorted({line["outcome"] for line in lines}) == ["complete", "credential", "cursor_loop"]
    assert all(line["shown"] == {} for line in lines)


def test_a_moved_record_is_due_in_its_latest_version() -> None:
    """What was shown before stays allowed, the new version is what must not be missing."""
    made = catalogue(6, 7)
    stream = max(made.streams.values(), key=len)
    stream.show(stream.page(START, 1))
    stream.move(Position(1, 1), draw=0)
    line = next(
        found
        for found in map(json.loads, truth_lines(made))
        if (found["user"], found["stream"]) == (stream.user, stream.name)
    )
    record_id = stream.format.record_id(1)
    assert (line["records"][record_id], line["shown"]) == (2, {record_id: 1})


def test_the_comparison_reads_the_lines(tmp_path: object) -> None:
    """With nothing mined, everything that can be mined is missing."""
    made = catalogue(6, 7)
    comparison = compare(truth_lines(made), str(tmp_path))
    assert comparison.missing.count == comparison.expected == made.records()

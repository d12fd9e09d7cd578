"""Sessions are those of the data, wherever pages and runs begin and end."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPipeline
from shared.pipeline.loader import load_text
from shared.pipeline.marks import moment_mark
from shared.pipeline.sessions import Session, labelled

GAP = timedelta(minutes=30)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
PAUSES = st.lists(st.integers(0, 60), min_size=1, max_size=40)


def marks_of(pauses: list[int]) -> list[str]:
    """Marks with these minutes between them."""
    minutes = [sum(pauses[: number + 1]) for number in range(len(pauses))]
    return [moment_mark(BEGIN + timedelta(minutes=each)) for each in minutes]


@given(PAUSES)
def test_a_session_ends_where_a_pause_is_as_long_as_the_gap(pauses: list[int]):
    marks = marks_of(pauses)
    labels, _ = labelled(Session(), marks, GAP)
    assert labels[0] == marks[0]
    for pause, (earlier, label), mark in zip(pauses[1:], pairwise(labels), marks[1:], strict=True):
        assert label == (mark if pause >= 30 else earlier)


@given(PAUSES, st.lists(st.integers(0, 40), max_size=6))
def test_it_makes_no_difference_where_pages_and_runs_end(pauses: list[int], cuts: list[int]):
    marks = marks_of(pauses)
    whole, _ = labelled(Session(), marks, GAP)
    found: list[str] = []
    session = Session()
    edges = [0, *sorted(cuts), len(marks)]
    for first, last in pairwise(edges):
        labels, session = labelled(Session.decode(session.encode()), marks[first:last], GAP)
        found += labels
    assert found == whole


def test_what_is_shown_again_belongs_where_it_did_and_what_is_older_nowhere():
    first, second, third = marks_of([0, 60, 10])
    labels, session = labelled(Session(), [first, second, third, second, first, ""], GAP)
    assert labels == [first, second, second, second, "", ""]
    assert session == Session(second, third)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("windows: { type: session, gap: 30m }", "found windows of type session, allowed: with incremental"),
        (
            "incremental: { cursor_path: at, format: number }\n    windows: { type: session, gap: 30m }",
            "allowed: with incremental by a cursor_path of times",
        ),
        (
            "incremental: { cursor_path: at }\n    windows: { type: session, gap: 30m }\n    stop_when: all_seen",
            "found windows of type session with stop_when",
        ),
        ("incremental: { cursor_path: at }\n    windows: { type: session }", "gap: found nothing"),
    ],
)
def test_what_does_not_fit_is_refused(options: str, said: str):
    text = f"""
pipeline: shop
source: {{ base_url: "https://api.example.com", auth: {{ type: none }} }}
streams:
  - name: visits
    primary_key: id
    paginator: {{ type: single_page }}
    {options}
"""
    with pytest.raises(InvalidPipeline) as refused:
        load_text(text, "shop.yaml")
    assert said in str(refused.value)

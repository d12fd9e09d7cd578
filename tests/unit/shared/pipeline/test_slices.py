"""Windows cover the range of a run: no gap, no overlap but the one that was asked for."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.errors import InvalidPipeline
from shared.pipeline.loader import load_text
from shared.pipeline.marks import moment_mark, moment_of
from shared.pipeline.slices import EPOCH, Plan, Slice, decoded, encoded, plan_of, split_of
from shared.pipeline.spec import Stream
from shared.pipeline.watermarks import Span

BEGIN = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
SECONDS = st.integers(1, 10**7)


def stream(windows: str = "{ type: fixed, size: 1h }", **options: Any) -> Stream:
    text = f"""
pipeline: p
source: {{ base_url: "https://api.example.com", auth: {{ type: none }} }}
streams:
  - name: s
    incremental: {{ cursor_path: at, start_param: since, end_param: until, initial_value: 2026-01-01 }}
    primary_key: {options.get("primary_key", "id")}
    windows: {windows}
    paginator: {{ type: single_page }}
"""
    return load_text(text, "p.yaml").streams[0]


def span(hours: float) -> Span:
    return Span(moment_mark(BEGIN), moment_mark(BEGIN + timedelta(hours=hours)))


def slices(plan: Plan) -> list[Slice]:
    found: list[Slice] = []
    while (following := plan.slice_at(len(found))) is not None:
        found.append(following)
    return found


def edges(plan: Plan) -> list[tuple[datetime, datetime]]:
    return [(moment_of(each.since), moment_of(each.until)) for each in slices(plan)]


@given(st.integers(1, 10**9), SECONDS, st.integers(0, 10**6))
def test_fixed_windows_touch_and_never_overlap(length: int, size: int, offset: int):
    assume(length / size < 500)
    plan = Plan(moment_mark(BEGIN), moment_mark(BEGIN + timedelta(seconds=length)), size, size, offset)
    found = edges(plan)
    assert found[0][0] == BEGIN
    assert found[-1][1] == BEGIN + timedelta(seconds=length)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    assert all(begin < end <= begin + timedelta(seconds=size) for begin, end in found)


@given(st.integers(1, 10**9), SECONDS, SECONDS)
def test_sliding_windows_overlap_as_much_as_was_asked(length: int, step: int, overlap: int):
    assume(length / step < 500)
    size = step + overlap
    plan = Plan(moment_mark(BEGIN), moment_mark(BEGIN + timedelta(seconds=length)), size, step)
    found = edges(plan)
    assert (found[0][0], found[-1][1]) == (BEGIN, BEGIN + timedelta(seconds=length))
    for before, after in itertools.pairwise(found):
        assert before[1] - after[0] == timedelta(seconds=overlap)


def test_windows_are_aligned_to_utc_whenever_the_range_begins():
    begins = [each.since for each in slices(plan_of(stream(), span(2)))]
    assert begins == [moment_mark(BEGIN + timedelta(minutes=minutes)) for minutes in (0, 30, 90)]


def test_the_offset_moves_the_edges():
    found = edges(plan_of(stream("{ type: fixed, size: 1d, offset: 6h }"), span(24)))
    assert [end.hour for _, end in found] == [6, 22]


def test_an_empty_range_has_one_slice_all_the_same():
    """A run always begins with something to ask for."""
    assert len(slices(plan_of(stream(), span(0)))) == 1


def test_without_windows_there_is_one_slice():
    assert slices(Plan("a", "b")) == [Slice("a", "b")]
    assert slices(Plan.decode("")) == [Slice()]


def test_the_plan_of_a_run_does_not_change_with_the_file():
    plan = plan_of(stream(), span(5))
    assert Plan.decode(plan.encode()) == plan


@given(st.integers(2, 10**12))
def test_halves_lose_nothing(micros: int):
    whole = Slice(moment_mark(EPOCH), moment_mark(EPOCH + timedelta(microseconds=micros)))
    earlier, later = whole.halves()
    assert (earlier.since, earlier.until, later.until) == (whole.since, later.since, whole.until)
    assert earlier.since < earlier.until <= later.until


def test_a_window_is_not_halved_below_the_smallest():
    one = stream("{ type: fixed, size: 1h, split: { at: 100, smallest: 10m } }")
    current = slices(plan_of(one, span(2)))[0]
    halves = split_of(one, current)
    assert halves is not None
    assert split_of(one, halves[0]) is None
    assert split_of(stream(), current) is None


def test_slices_are_stored_as_text():
    some = (Slice("a", "b"), Slice("c"))
    assert decoded(encoded(some)) == some
    assert decoded(encoded(())) == ()


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ("{ type: fixed }", "windows.size: found nothing"),
        ("{ type: fixed, size: soon }", "found 'soon', allowed: a span such as 30m"),
        ("{ type: fixed, size: 0s }", "windows.size: found an empty span, allowed: a longer one"),
        ("{ type: sliding, size: 1h, overlap: 1h }", "found an overlap that is not shorter than size"),
        ("{ type: global, split: {} }", "found neither at nor on_rejected"),
        ("{ type: tumbling, size: 1h }", "found 'tumbling', allowed: 'fixed', 'sliding', 'session', 'global'"),
    ],
)
def test_a_mistake_in_windows_says_what_is_allowed(windows: str, said: str):
    with pytest.raises(InvalidPipeline) as caught:
        stream(windows)
    assert said in str(caught.value)


def test_a_truncated_window_needs_a_key_or_a_count():
    """What a window has shown before it is found to be too big comes again."""
    with pytest.raises(InvalidPipeline, match="found split without total_path and without primary_key"):
        stream("{ type: fixed, size: 1h, split: { at: 5 } }", primary_key="[]")


@given(st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_spans_are_read_as_they_are_written(length: timedelta):
    seconds = length.days * 86400 + length.seconds
    days, rest = divmod(seconds, 86400)
    spans = TypeAdapter(Stream.model_fields["incremental"].annotation)
    for written in (f"{days}d{rest}s", f"P{days}DT{rest}S"):
        read = spans.validate_python({"cursor_path": "at", "lag": written})
        assert read.lag.total_seconds() == seconds

"""Marks: read from what a source shows, compared, and written as it wants them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedResponse
from shared.pipeline.marks import is_before, later, mark_of, moment_mark, moment_of, written
from shared.pipeline.spec import Incremental
from shared.pipeline.watermarks import Span, highest_of, span_of, window_scope

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENTS = st.integers(31_536_000_000_000, 2**57).map(lambda micros: EPOCH + timedelta(microseconds=micros))


def incremental(**options: Any) -> Incremental:
    return Incremental(**{"cursor_path": "at", **options})


@pytest.mark.parametrize(
    ("format_", "shown", "sent"),
    [
        ("iso", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("iso", "2026-03-01T14:00:00+02:00", "2026-03-01T12:00:00Z"),
        ("iso", "2026-03-01T12:00:00.250", "2026-03-01T12:00:00.250000Z"),
        ("iso", "2026-03-01", "2026-03-01T00:00:00Z"),
        ("date", "2026-03-01", "2026-03-01"),
        ("date", "2026-03-01T23:59:59Z", "2026-03-01"),
        ("epoch_seconds", 1772366400, "1772366400"),
        ("epoch_seconds", "1772366400.9", "1772366400"),
        ("epoch_milliseconds", 1772366400123, "1772366400123"),
        ("number", 9007199254740993, "9007199254740993"),
        ("number", "17", "17"),
        ("text", "01HV", "01HV"),
        ("opaque", '"1772366400"', '"1772366400"'),
        ("%d.%m.%Y %H:%M", "01.03.2026 12:00", "01.03.2026 12:00"),
    ],
)
def test_a_mark_is_sent_in_the_format_in_which_it_came(format_: str, shown: Any, sent: str):
    assert written(mark_of(shown, format_), format_) == sent


@pytest.mark.parametrize(
    ("format_", "value"),
    [("iso", "yesterday"), ("iso", 5), ("number", "x"), ("number", True), ("epoch_seconds", "noon"), ("text", ["a"])],
)
def test_a_value_of_another_format_is_malformed_and_not_repeated(format_: str, value: Any):
    with pytest.raises(MalformedResponse, match=rf"^at: found \w+ that is no {format_}$"):
        highest_of(incremental(format=format_), [{"at": value}], {}, NOON, 0)


@given(st.lists(MOMENTS, min_size=1))
def test_the_highest_mark_is_that_of_the_latest_moment(moments: list[datetime]):
    records = [{"at": moment.isoformat()} for moment in moments]
    assert moment_of(highest_of(incremental(), records, {}, NOON, 3)) == max(moments)


@given(st.lists(st.integers(-(10**20), 10**20), min_size=1))
def test_numbers_are_compared_as_numbers(numbers: list[int]):
    records = [{"at": number} for number in numbers]
    assert highest_of(incremental(format="number"), records, {}, NOON, 0) == str(max(numbers))


@given(MOMENTS, MOMENTS)
def test_marks_of_time_sort_as_the_moments_do(first: datetime, second: datetime):
    assert (moment_mark(first) < moment_mark(second)) == (first < second)
    assert is_before(moment_mark(first), moment_mark(second), "iso") == (first < second)


@given(MOMENTS, st.sampled_from(["iso", "date", "epoch_seconds", "epoch_milliseconds"]))
def test_what_is_sent_is_never_later_than_the_mark(moment: datetime, format_: str):
    """The format may be coarser than the mark; then rather too much is asked for than too little."""
    assert moment_of(mark_of(written(moment_mark(moment), format_), format_)) <= moment


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400_000)))
def test_the_lag_is_taken_from_the_watermark_as_far_as_there_is_time(moment: datetime, lag: timedelta):
    span = span_of(incremental(lag=f"{lag.days}d"), moment_mark(moment), NOON)
    earliest = datetime.min.replace(tzinfo=UTC)
    assert moment_of(span.since) == max(earliest, moment - min(timedelta(days=lag.days), moment - earliest))


def test_records_without_a_mark_say_nothing():
    assert highest_of(incremental(), [{"at": None}, {}, {"at": ""}], {}, NOON, 0) == ""


def test_a_mark_may_stand_deep_in_the_record():
    nested = incremental(cursor_path="meta.at")
    assert highest_of(nested, [{"meta": {"at": "2026-03-01"}}], {}, NOON, 0) == "2026-03-01T00:00:00.000000Z"


def test_a_header_counts_on_the_first_page_only():
    """What changes while later pages are fetched stands behind the first page's header, not behind theirs."""
    asks = Incremental(cursor_header="ETag", format="opaque")
    assert highest_of(asks, [], {"etag": '"7"'}, NOON, 0) == '"7"'
    assert highest_of(asks, [], {"etag": '"9"'}, NOON, 1) == ""


def test_the_beginning_of_the_run_may_be_the_mark():
    assert highest_of(Incremental(run_start=True), [], {}, NOON, 4) == moment_mark(NOON)


def test_of_two_opaque_marks_the_second_counts_and_none_is_nothing():
    assert (later("b", "a", "opaque"), later("b", "", "opaque"), later("", "a", "opaque")) == ("a", "b", "a")


class TestSpan:
    def test_the_first_run_asks_from_the_initial_value(self):
        assert span_of(incremental(initial_value="2020-01-01"), "", NOON).since == "2020-01-01T00:00:00.000000Z"

    def test_without_an_initial_value_it_asks_for_everything(self):
        assert span_of(incremental(), "", NOON) == Span("", moment_mark(NOON))

    def test_later_runs_ask_from_the_watermark(self):
        watermark = moment_mark(NOON)
        assert span_of(incremental(initial_value="2020-01-01"), watermark, NOON).since == watermark

    @pytest.mark.parametrize(("watermark", "format_"), [("17", "iso"), ("x", "number")])
    def test_a_watermark_of_another_format_is_not_used(self, watermark: str, format_: str):
        assert span_of(incremental(format=format_), watermark, NOON).since == ""

    def test_templates_know_the_edges_that_there_are(self):
        asks = incremental(format="date")
        assert window_scope(asks, Span("", moment_mark(NOON))) == {"end": "2026-03-01"}
        assert window_scope(asks, Span(moment_mark(NOON), "")) == {"start": "2026-03-01"}
        assert window_scope(None, Span("a", "b")) == {}

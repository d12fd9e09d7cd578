"""Users are spread evenly over a span, and each keeps its place."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.messages import StreamKey
from shared.pipeline.turns import first_turn, offset_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
spans = st.timedeltas(timedelta(), timedelta(days=30))
keys = st.builds(StreamKey, st.just("shop"), st.sampled_from(["orders", "items"]), st.text(min_size=1))


@given(keys, spans)
def test_a_turn_lies_within_the_span_and_is_always_the_same(key: StreamKey, span: timedelta):
    offset = offset_of(key, span)
    assert timedelta() <= offset < max(span, timedelta(seconds=1))
    assert offset == offset_of(key, span)


def test_users_are_spread_evenly():
    minutes = Counter(offset_of(StreamKey("shop", "orders", f"user{number}"), HOUR) // MINUTE for number in range(6000))
    assert set(minutes) == set(range(60))
    assert max(minutes.values()) < 160


def test_the_streams_of_a_user_do_not_come_together():
    turns = {offset_of(StreamKey("shop", f"stream{number}", "ann"), HOUR) for number in range(20)}
    assert len(turns) > 15


@given(keys, spans, st.timedeltas(timedelta(), timedelta(days=90)))
def test_nobody_s_turn_comes_before_the_moment_nor_later_than_a_span_from_now(
    key: StreamKey, span: timedelta, late: timedelta
):
    turn = first_turn(key, span, NOON, NOON + late)
    assert NOON <= turn <= NOON + late + span
    if late <= span:
        assert turn == NOON + offset_of(key, span)
    else:
        assert turn >= NOON + late

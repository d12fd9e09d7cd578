"""NCRONTAB schedules."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.local_host.ncrontab import FIELDS, parse_schedule

START = datetime(2026, 11, 22, 23, 15, 30, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("0 * * * * *", datetime(2026, 11, 22, 23, 16, tzinfo=UTC)),
        ("*/20 * * * * *", datetime(2026, 11, 22, 23, 15, 40, tzinfo=UTC)),
        ("30 15 23 * * *", datetime(2026, 11, 23, 23, 15, 30, tzinfo=UTC)),
        ("0 5/20 * * * *", datetime(2026, 11, 22, 23, 25, tzinfo=UTC)),
        ("0 0 9 * * mon-FRI", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("0 0 0 1 January *", datetime(2027, 1, 1, tzinfo=UTC)),
        ("* * * * *", datetime(2026, 11, 22, 23, 16, tzinfo=UTC)),
        # Both day fields must match: the next 13th that is a Friday.
        ("0 0 0 13 * 5", datetime(2027, 8, 13, tzinfo=UTC)),
        ("0 0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        # croniter alone misreads these two.
        ("0 0 5-5 * * *", datetime(2026, 11, 23, 5, tzinfo=UTC)),
        ("0 0 6-2 * * *", datetime(2026, 11, 23, 2, tzinfo=UTC)),
    ],
)
def test_the_next_occurrence(text: str, following: datetime):
    assert parse_schedule(text, START).next_after(START) == following


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected six fields (second minute hour day month day-of-week), found 0"),
        ("0 * * * * * *", "found 7"),
        ("60 * * * * *", "second: found '60', allowed: 0-59"),
        ("0 * 24 * * *", "hour: found '24'"),
        ("0 * * 0 * *", "day of month: found '0'"),
        ("0 * * * 13 *", "month: found '13'"),
        ("0 * * * * 7", "day of week: found '7'"),
        ("0 */0 * * * *", "minute: the step in '*/0'"),
        ("0 1,,2 * * * *", "minute: found ''"),
        ("0 -5 * * * *", "minute: found ''"),
        ("0 @daily * * * *", "minute: found '@daily'"),
        ("00:05:00", "found 1"),
        ("0 0 0 31 2 *", "it never occurs"),
    ],
)
def test_a_mistake_names_field_finding_and_what_is_allowed(text: str, says: str):
    with pytest.raises(ValueError) as refused:
        parse_schedule(text, START)
    assert says in str(refused.value)


def piece(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    span = st.tuples(number, number).map(lambda ends: f"{ends[0]}-{ends[1]}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, 7)).map(lambda parts: f"{parts[0]}/{parts[1]}")
    return st.one_of(st.just("*"), number.map(str), span, stepped)


def matches(part: str, value: int, least: int, most: int) -> bool:
    """The rule of NCRONTAB for one field, written down a second time."""
    ends, _, step = part.partition("/")
    first, _, last = ends.partition("-")
    low, high = (least, most) if ends == "*" else sorted((int(first), int(last or first)))
    return low <= value <= high and (value - low) % int(step or 1) == 0


@settings(max_examples=30, deadline=None)
@given(st.tuples(*(piece(field.least, field.most) for field in FIELDS[:3])))
def test_any_time_of_day_is_the_first_that_matches(parts: tuple[str, ...]):
    """Against a search by brute force over the seconds of a day."""
    found = parse_schedule(" ".join([*parts, "*", "*", "*"]), START).next_after(START)
    candidate = START + timedelta(seconds=1)
    while not all(
        matches(part, value, field.least, field.most)
        for part, value, field in zip(parts, (candidate.second, candidate.minute, candidate.hour), FIELDS, strict=False)
    ):
        candidate += timedelta(seconds=1)
    assert found == candidate

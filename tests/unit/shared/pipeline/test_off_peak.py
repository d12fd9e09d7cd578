"""Hours of the day by the clock on a wall, also where that clock is set forward or back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPipeline
from shared.pipeline.loader import load_text
from shared.pipeline.off_peak import is_open, next_opening, put_off
from shared.pipeline.spec import OffPeak

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
"""Lord Howe sets its clock by half an hour; Apia left out a whole day in 2011."""

FIRST, LAST = datetime(2011, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
clocks = st.times().map(lambda clock: f"{clock:%H:%M}")


def hours_of(begins: str, until: str, zone: str = "UTC") -> OffPeak:
    return OffPeak.model_validate({"from": begins, "until": until, "time_zone": zone})


NIGHT = hours_of("22:00", "06:00", "Europe/Berlin")


@st.composite
def some_hours(draw: st.DrawFn) -> OffPeak:
    begins, until = draw(st.lists(clocks, min_size=2, max_size=2, unique=True))
    return hours_of(begins, until, draw(st.sampled_from(ZONES)))


def berlin(text: str) -> datetime:
    """A moment that is written with its offset, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


@given(some_hours(), moments)
def test_an_opening_is_the_first_minute_that_is_open(hours: OffPeak, now: datetime):
    """Nothing before it is open, to the minute; looked for the plain way, up to a day ahead."""
    opening = next_opening(hours, now)
    assert is_open(hours, opening)
    assert opening >= now
    if opening == now:
        return
    minutes = (opening - now) // MINUTE
    whole = now.replace(second=0, microsecond=0)
    assert not any(is_open(hours, whole + number * MINUTE) for number in range(1, min(minutes, 1440)))
    assert (opening.second, opening.microsecond) == (0, 0)


@given(some_hours(), moments, st.timedeltas(timedelta(), DAY))
def test_what_is_put_off_comes_in_the_hours_and_not_before(hours: OffPeak, moment: datetime, offset: timedelta):
    at = put_off(hours, moment, offset)
    assert is_open(hours, at)
    assert next_opening(hours, moment) <= at <= next_opening(hours, moment) + offset


@given(some_hours(), moments)
def test_the_hours_of_a_day_are_as_long_as_they_say_but_for_a_set_clock(hours: OffPeak, now: datetime):
    """In UTC, where no clock is set."""
    in_utc = hours.model_copy(update={"time_zone": "UTC"})
    opened = sum(is_open(in_utc, now + number * MINUTE) for number in range(1440))
    assert opened * MINUTE == hours.length


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-11-22T21:59:59+01:00", "2026-11-22T22:00+01:00"),
        ("2026-11-22T22:00:00+01:00", "2026-11-22T22:00+01:00"),
        ("2026-11-23T05:59:59+01:00", "2026-11-23T05:59:59+01:00"),
        ("2026-11-23T06:00:00+01:00", "2026-11-23T22:00+01:00"),
        ("2026-07-01T12:00:00+02:00", "2026-07-01T22:00+02:00"),
        ("2026-10-24T12:00:00+02:00", "2026-10-24T22:00+02:00"),
        ("2026-10-25T12:00:00+01:00", "2026-10-25T22:00+01:00"),
    ],
)
def test_a_night_in_berlin(now: str, opening: str):
    assert next_opening(NIGHT, berlin(now)) == berlin(opening)


def test_a_clock_that_is_set_forward_over_the_opening_opens_with_the_change():
    """On 29 March 2026 there is no 02:30; the clock goes from 02:00 to 03:00."""
    hours = hours_of("02:30", "05:00", "Europe/Berlin")
    assert next_opening(hours, berlin("2026-03-29T01:00+01:00")) == berlin("2026-03-29T03:00+02:00")


def test_hours_that_a_clock_passes_over_come_on_the_next_day():
    hours = hours_of("02:15", "02:45", "Europe/Berlin")
    assert next_opening(hours, berlin("2026-03-29T00:00+01:00")) == berlin("2026-03-30T02:15+02:00")


def test_a_clock_that_is_set_back_over_the_opening_opens_twice():
    """On 25 October 2026 the hour from 02:00 comes twice."""
    hours = hours_of("02:30", "05:00", "Europe/Berlin")
    assert next_opening(hours, berlin("2026-10-25T01:00+02:00")) == berlin("2026-10-25T02:30+02:00")
    assert next_opening(hours, berlin("2026-10-25T02:05+01:00")) == berlin("2026-10-25T02:30+01:00")


REFUSED = """\
pipeline: shop
source: { base_url: "http://a", auth: { type: none } }
stagger: 3h
off_peak: OFF_PEAK
streams:
  - { name: orders, paginator: { type: single_page } }
"""


@pytest.mark.parametrize(
    ("off_peak", "said"),
    [
        (
            '{ from: 22:00, until: "06:00" }',
            "shop.yaml:4: off_peak.from: found 1320, allowed: hours and minutes in quo",
        ),
        ('{ from: "24:00", until: "06:00" }', "shop.yaml:4: off_peak.from: found '24:00', allowed: hours and minutes "),
        ('{ from: "6:00", until: "06:00" }', "shop.yaml:4: off_peak.from: found '6:00', allowed: hours and minutes "),
        (
            '{ from: "06:00", until: "06:00" }',
            "shop.yaml:4: off_peak: found from and until at the same time, allowed: ",
        ),
        (
            '{ from: "22:00", until: "06:00", time_zone: Berlin }',
            "shop.yaml:4: off_peak.time_zone: found 'Berlin', allowed: a time zone such as UTC or Europe/Berlin",
        ),
        (
            '{ from: "22:00", until: "06:00", time_zone: ../etc }',
            "shop.yaml:4: off_peak.time_zone: found '../etc', allowed: a time zone such as UTC or Europe/Berlin",
        ),
        ('{ begins: "22:00", until: "06:00" }', "shop.yaml:4: off_peak.from: found nothing, allowed: this key must be"),
        ('{ from: "23:00", until: "01:00" }', "shop.yaml:1: file: found a stagger that is longer than off_peak in ord"),
    ],
)
def test_hours_that_can_not_be_are_refused(off_peak: str, said: str):
    with pytest.raises(InvalidPipeline) as refusal:
        load_text(REFUSED.replace("OFF_PEAK", off_peak), "shop.yaml")
    assert str(refusal.value).startswith(said)

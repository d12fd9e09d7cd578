"""Whether a source may be asked now, and from when on if not. Pure.

What counts is what a clock on the wall there shows: where it is set forward over the opening, the hours begin with the
change; where it is set back over it, they begin twice.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from shared.pipeline.spec import OffPeak

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def is_open(hours: OffPeak, moment: datetime) -> bool:
    """Whether this moment lies in the hours."""
    clock = moment.astimezone(ZoneInfo(hours.time_zone)).time()
    if hours.begins < hours.until:
        return hours.begins <= clock < hours.until
    return clock >= hours.begins or clock < hours.until


def next_opening(hours: OffPeak, now: datetime) -> datetime:
    """`now` in the hours, else the first moment after it that is in them. UTC."""
    if is_open(hours, now):
        return now
    today = now.astimezone(ZoneInfo(hours.time_zone)).date()
    openings = (_opening_on(today + day * DAY, hours, now) for day in count(-1))
    return next(opening for opening in openings if opening is not None)


def put_off(hours: OffPeak, moment: datetime, offset: timedelta) -> datetime:
    """`moment` in the hours, else `offset` behind the next opening, as far as that is still in them."""
    opening = next_opening(hours, moment)
    if opening == moment:
        return moment
    return opening + offset if is_open(hours, opening + offset) else opening


def _opening_on(day: date, hours: OffPeak, now: datetime) -> datetime | None:
    """The opening of this day that is still to come. Where the clock jumps there are two readings of a time of day, and
    the opening is one of them or lies between them."""
    local = datetime.combine(day, hours.begins, ZoneInfo(hours.time_zone))
    first, last = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    moment = max(first, _whole_minute_behind(now.astimezone(UTC)))
    while moment <= last:
        if is_open(hours, moment):
            return moment
        moment += MINUTE
    return None


def _whole_minute_behind(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + MINUTE

"""The hours of the day in which a source may be asked."""

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.pipeline.spec.fields import Spec

CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _as_time(value: object) -> object:
    """YAML reads an unquoted 22:00 as a number."""
    if isinstance(value, time):
        return value
    found = CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('allowed: hours and minutes in quotes, such as "22:00"')
    return time(int(found[1]), int(found[2]))


def _is_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("allowed: a time zone such as UTC or Europe/Berlin") from None
    return value


TimeOfDay = Annotated[time, BeforeValidator(_as_time)]
TimeZone = Annotated[str, AfterValidator(_is_time_zone)]


class OffPeak(Spec):
    """Pages are fetched from the one time of day until the other, of the next day if that is earlier, and not else."""

    begins: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _has_an_inside_and_an_outside(self) -> Self:
        if self.begins == self.until:
            raise ValueError("found from and until at the same time, allowed: two times of the day")
        return self

    @property
    def length(self) -> timedelta:
        """How long the hours are on a day on which no clock is set."""
        begins, until = (datetime.combine(date.min, each) for each in (self.begins, self.until))
        return (until - begins) % timedelta(days=1)

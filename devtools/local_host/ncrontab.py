"""NCRONTAB schedules, read as the real host reads them.

Each field is expanded to plain numbers before croniter sees it, because croniter misreads some ranges (`5-5`, `6-2`)
that NCRONTAB allows; croniter then only finds the next occurrence. Day of month and day of week must both match.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from croniter import CroniterBadDateError, croniter

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


@dataclass(frozen=True)
class Field:
    """One of the six fields: its name, its smallest and largest value and the names it knows."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 6, DAYS),
)


@dataclass(frozen=True)
class Schedule:
    """A schedule that occurs at least once. Times are aware, in UTC."""

    text: str
    expanded: str

    def next_after(self, moment: datetime) -> datetime:
        found: datetime = croniter(
            self.expanded, moment, ret_type=datetime, second_at_beginning=True, day_or=False
        ).get_next()
        return found


def parse_schedule(text: str, now: datetime) -> Schedule:
    """Read six fields, or five without the seconds.

    Raises ValueError naming the field, what was found and what is allowed.
    """
    parts = text.split()
    if len(parts) == len(FIELDS) - 1:
        parts.insert(0, "0")
    if len(parts) != len(FIELDS):
        raise ValueError(f"expected six fields (second minute hour day month day-of-week), found {len(parts)}")
    expanded = " ".join(_expand(part, field) for part, field in zip(parts, FIELDS, strict=True))
    schedule = Schedule(text, expanded)
    try:
        schedule.next_after(now)
    except CroniterBadDateError:
        raise ValueError("it never occurs") from None
    return schedule


def _expand(part: str, field: Field) -> str:
    values = {value for piece in part.split(",") for value in _piece(piece, field)}
    everything = range(field.least, field.most + 1)
    return "*" if values == set(everything) else ",".join(map(str, sorted(values)))


def _piece(piece: str, field: Field) -> Sequence[int]:
    """`*`, `a`, `a-b`, each with an optional `/step`. The ends of a range may come in either order."""
    ends, slash, step_text = piece.partition("/")
    if slash and (not step_text.isdecimal() or int(step_text) == 0):
        raise ValueError(f"{field.name}: the step in {piece!r} must be a number from 1")
    step = int(step_text) if slash else 1
    if ends == "*":
        return range(field.least, field.most + 1, step)
    first, dash, last = ends.partition("-")
    start = _value(first, field)
    end = _value(last, field) if dash else (field.most if slash else start)
    return range(min(start, end), max(start, end) + 1, step)


def _value(text: str, field: Field) -> int:
    names: Mapping[str, int] = {name: number for number, name in enumerate(field.names, field.least)}
    by_name = [number for name, number in names.items() if len(text) > 2 and name.startswith(text.lower())]
    if by_name:
        return by_name[0]
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        allowed = f"{field.least}-{field.most}" + (f" or {field.names[0][:3]}…" if field.names else "")
        raise ValueError(f"{field.name}: found {text!r}, allowed: {allowed}, *, a-b, a,b, */n")
    return int(text)

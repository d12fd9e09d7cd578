"""Marks: how far a source has been mined, as text that no setting changes. Pure.

Times stand in UTC to the microsecond, which sort as text, numbers in digits, everything else as it came.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

FORMATS = ("iso", "date", "epoch_seconds", "epoch_milliseconds", "number", "text", "opaque")
NOT_TIMES = frozenset({"number", "text", "opaque"})
CANONICAL = "%Y-%m-%dT%H:%M:%S.%fZ"
LONGEST_MARK = 1024


def is_time(format_: str) -> bool:
    return format_ not in NOT_TIMES


def mark_of(value: Any, format_: str) -> str:
    """A value as the source shows it, as a mark. Raises ValueError where it is not of this format."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"found {type(value).__name__}")
    if format_ == "number":
        return _digits(value)
    if not is_time(format_):
        return _short(str(value))
    return moment_mark(_moment(value, format_))


def moment_mark(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(CANONICAL).zfill(len("0001-01-01T00:00:00.000000Z"))


def moment_of(mark: str) -> datetime:
    """The moment of a mark of time."""
    return datetime.strptime(mark, CANONICAL).replace(tzinfo=UTC)


def later(first: str, second: str, format_: str) -> str:
    """The mark that is further on; of two opaque ones the second, which came later. Empty is before everything."""
    if not first or not second or format_ == "opaque":
        return second or first
    if format_ == "number":
        return max(first, second, key=Decimal)
    return max(first, second)


def is_before(mark: str, other: str, format_: str) -> bool:
    """Whether `mark` lies behind `other`; opaque marks have no order."""
    if format_ == "opaque" or mark == other:
        return False
    return later(mark, other, format_) == other


def written(mark: str, format_: str) -> str:
    """A mark as the API wants to read it; what the format can't hold is cut off, so that rather too much is asked."""
    if not is_time(format_):
        return mark
    moment = moment_of(mark)
    match format_:
        case "iso":
            return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")[:-6] + "Z"
        case "date":
            return f"{moment:%Y-%m-%d}"
        case "epoch_seconds":
            return str(_micros(moment) // 1_000_000)
        case "epoch_milliseconds":
            return str(_micros(moment) // 1000)
        case pattern:
            return moment.strftime(pattern)


def _moment(value: str | int | float, format_: str) -> datetime:
    if format_ in {"epoch_seconds", "epoch_milliseconds"}:
        unit = 1 if format_ == "epoch_seconds" else 1000
        micros = int(Decimal(str(value)) * 1_000_000 / unit) if _is_number(value) else None
        if micros is None:
            raise ValueError("found no number")
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    text = str(value)
    moment = _by_pattern(text, format_) if "%" in format_ else datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _by_pattern(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - a pattern may have no zone; UTC is meant then


def _is_number(value: str | int | float) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def _digits(value: str | int | float) -> str:
    if not _is_number(value):
        raise ValueError("found no number")
    return f"{Decimal(str(value)):f}"


def _short(text: str) -> str:
    if len(text) > LONGEST_MARK:
        raise ValueError(f"found {len(text)} characters")
    text.encode()
    return text


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

"""The properties of a queue, and ISO 8601 durations, in which Service Bus writes them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MILLISECONDS_OF = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000}
FOR_EVER = 100 * 365 * 86_400_000  # longer durations mean "no limit"; Azure's own is 29,247 years
FOR_EVER_TEXT = "P10675199DT2H48M5.4775807S"

_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d+)D)?(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def milliseconds(text: str) -> int:
    """PT1M30S → 90000. Raises ValueError if the text is no duration of days, hours, minutes and seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not an ISO 8601 duration: {text!r}")
    return round(sum(float(number or 0) * MILLISECONDS_OF[unit] for unit, number in match.groupdict().items()))


def duration(value: int | None) -> str:
    """90000 → PT90S; None, no limit, → the longest duration Azure knows."""
    return FOR_EVER_TEXT if value is None else f"PT{value / 1000:.7f}".rstrip("0").rstrip(".") + "S"


@dataclass(frozen=True, slots=True)
class QueueProperties:
    """How a queue works; times in milliseconds, with Azure's defaults."""

    lock_duration: int = 60_000
    max_delivery_count: int | None = 10  # None: no limit, on dead-letter queues
    duplicate_window: int = 600_000
    detects_duplicates: bool = False
    default_ttl: int | None = None  # None: messages live for ever
    dead_letters_expired: bool = False
    requires_session: bool = False


class PropertyError(ValueError):
    """A property with a wrong value: which, what was found, what is allowed."""

    def __init__(self, name: str, found: Any, allowed: str) -> None:
        super().__init__(f"{name}: found {found!r}, allowed: {allowed}")
        self.name, self.found, self.allowed = name, found, allowed


def from_values(values: Mapping[str, Any]) -> QueueProperties:
    """Properties under Azure's names (NAMES), as JSON values, checked. Raises PropertyError."""
    facts = {}
    for name, value in values.items():
        field, read = _READERS[name]
        if field:
            facts[field] = read(name, value)
        else:
            read(name, value)
    return QueueProperties(**facts)


def to_values(properties: QueueProperties) -> dict[str, Any]:
    """The reverse of from_values."""
    return {
        "LockDuration": duration(properties.lock_duration),
        "RequiresDuplicateDetection": properties.detects_duplicates,
        "RequiresSession": properties.requires_session,
        "DefaultMessageTimeToLive": duration(properties.default_ttl),
        "DeadLetteringOnMessageExpiration": properties.dead_letters_expired,
        "DuplicateDetectionHistoryTimeWindow": duration(properties.duplicate_window),
        "MaxDeliveryCount": properties.max_delivery_count,
    }


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise PropertyError(name, value, "true or false")
    return value


def _delivery_count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2000:
        raise PropertyError(name, value, "a whole number from 1 to 2000")
    return value


def _span(longest: int, allowed: str) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        text = f"an ISO 8601 duration {allowed}"
        try:
            span = milliseconds(value)
        except (TypeError, ValueError):
            raise PropertyError(name, value, text) from None
        if not 0 < span <= longest:
            raise PropertyError(name, value, text)
        return span

    return read


def _time_to_live(name: str, value: Any) -> int | None:
    span = _span(FOR_EVER * 1000, "longer than PT0S, such as PT1H or P14D")(name, value)
    return None if span > FOR_EVER else span


def _nothing(name: str, value: Any) -> None:
    if value:
        raise PropertyError(name, value, 'only "" (forwarding is not supported)')


_DAY = 86_400_000
_READERS: dict[str, tuple[str | None, Callable[[str, Any], Any]]] = {
    "LockDuration": ("lock_duration", _span(300_000, "longer than PT0S, at most PT5M")),
    "MaxDeliveryCount": ("max_delivery_count", _delivery_count),
    "RequiresDuplicateDetection": ("detects_duplicates", _boolean),
    "DuplicateDetectionHistoryTimeWindow": ("duplicate_window", _span(7 * _DAY, "longer than PT0S, at most P7D")),
    "DefaultMessageTimeToLive": ("default_ttl", _time_to_live),
    "DeadLetteringOnMessageExpiration": ("dead_letters_expired", _boolean),
    "RequiresSession": ("requires_session", _boolean),
    "ForwardTo": (None, _nothing),
    "ForwardDeadLetteredMessagesTo": (None, _nothing),
}
NAMES = frozenset(_READERS)

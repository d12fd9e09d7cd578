"""How long a source wants to be left alone: headers that are usual, and those that a pipeline file names. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at
from shared.pipeline.spec import Wait

MAX_WAIT = 6 * 3600.0
"""Seconds; a source that asks for more is asked again after this."""

APP_USAGE = ("x-app-usage",)
USAGE_HEADERS = ("x-business-use-case-usage", *APP_USAGE)
"""JSON that says how much of a quota is used, and in how many minutes there is some again."""

RESETS = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset", "x-ratelimit-reset-after")
"""When there are requests again: a moment since 1970 in seconds or milliseconds, a date, or seconds from now."""

REMAINING = ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")
"""How many requests are left."""

SLOW_FROM = 80.0
"""Percent of a quota from which pages are fetched more slowly."""

SLOWEST = 60.0
"""Seconds between pages when nearly all of a quota is used."""

REGAINED = 300.0
"""Seconds until a quota that is used up is tried again, where the source does not say."""

PERCENTAGES = ("call_count", "total_time", "total_cputime")

MOST_USAGE = 16_384
"""Characters of such a header that are looked at."""

SECONDS = {"seconds": 1.0, "milliseconds": 0.001, "minutes": 60.0}


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds before the next page `of` this run, of the user, or of all users of the app."""

    seconds: float
    of: Literal["run", "user", "app"]


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from `Retry-After` (seconds, fractional too, or an HTTP date), one of RESETS, `Backoff` or the
    usage of a quota, in this order.

    Zero, negative and past values mean «now» and count as None, so that back-off takes over; absurd ones are
    capped at MAX_WAIT.
    """
    wait = seconds_or_date(headers.get("retry-after", ""), now)
    if wait is None:
        wait = next((wait for name in RESETS if (wait := _until_reset(headers.get(name, ""), now)) is not None), None)
    if wait is None:
        wait = _number(headers.get("backoff"))
    if wait is None:
        wait = until_regained(headers)
    return capped(wait)


def asked_wait(wait: Wait, headers: Mapping[str, str], body: Any, now: datetime) -> float | None:
    """Seconds to wait from the place that a pipeline file names, within the bounds of `retry_after`."""
    value = headers.get(wait.header.lower()) if wait.header is not None else _at(wait.path or "", body)
    if wait.unit == "http_date":
        return capped(_until_date(value, now) if isinstance(value, str) else None)
    number = _number(value)
    if number is None:
        return None
    return capped(number - now.timestamp() if wait.unit == "epoch" else number * SECONDS[wait.unit])


def is_exhausted(headers: Mapping[str, str]) -> bool:
    """Whether no request is left, by the header that counts them."""
    return any(headers.get(name) == "0" for name in REMAINING)


def is_used_up(headers: Mapping[str, str], names: Sequence[str] = USAGE_HEADERS) -> bool:
    """Whether a usage header says that some quota is at 100 percent."""
    return used(headers, names) >= 100


def used(headers: Mapping[str, str], names: Sequence[str] = USAGE_HEADERS) -> float:
    """The highest percentage of a quota that the usage headers name."""
    shares = (_number(usage.get(name)) for usage in _usages(headers, names) for name in PERCENTAGES)
    return max((share for share in shares if share is not None), default=0.0)


def slowed_down(headers: Mapping[str, str]) -> Pause | None:
    """What the usage of a quota asks for behind a page: the nearer to all of it, the longer; at the end, a stop."""
    share = used(headers)
    if share < SLOW_FROM:
        return None
    if share < 100:
        return Pause((share - SLOW_FROM) / (100 - SLOW_FROM) * SLOWEST, "run")
    wait = capped(until_regained(headers)) or REGAINED
    return Pause(wait, "app" if is_used_up(headers, APP_USAGE) else "user")


def until_regained(headers: Mapping[str, str]) -> float | None:
    """Seconds until a quota that is used up has something again, by the longest of what the usage headers name."""
    minutes = [_number(usage.get("estimated_time_to_regain_access")) for usage in _usages(headers)]
    return 60 * max((each for each in minutes if each is not None), default=0) or None


def capped(wait: float | None) -> float | None:
    """A wait within bounds; None for now."""
    return min(wait, MAX_WAIT) if wait is not None and wait > 0 else None


def seconds_or_date(value: str, now: datetime) -> float | None:
    """As `Retry-After` has it; None for neither."""
    number = _number(value)
    return _until_date(value, now) if number is None else number


def _usages(headers: Mapping[str, str], names: Sequence[str] = USAGE_HEADERS) -> Iterator[dict[str, Any]]:
    """Every object in the usage headers: one, or lists of them per account."""
    for name in names:
        try:
            found = json.loads(headers.get(name, "")[:MOST_USAGE])
        except (ValueError, RecursionError):
            continue
        yield from _objects(found, depth=3)


def _objects(found: Any, depth: int) -> Iterator[dict[str, Any]]:
    inside = found if isinstance(found, list) else []
    if isinstance(found, dict):
        yield found
        inside = list(found.values())
    for each in inside if depth else []:
        yield from _objects(each, depth - 1)


def _at(path: str, body: Any) -> Any:
    try:
        return found_at(path, body)
    except MalformedResponse:
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if number != number else number


def _until_date(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def _until_reset(value: str, now: datetime) -> float | None:
    number = seconds_or_date(value, now)
    if number is None or number <= 1e9:
        return number
    return (number / 1000 if number > 1e11 else number) - now.timestamp()

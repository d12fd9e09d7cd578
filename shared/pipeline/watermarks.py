"""Where a run begins and how far it has come, by the marks that the source shows. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at
from shared.pipeline.marks import is_time, later, mark_of, moment_mark, moment_of, written
from shared.pipeline.spec import Incremental


@dataclass(frozen=True, slots=True)
class Span:
    """What one run asks for: marks from `since` to `until`; empty means from the beginning, or without end."""

    since: str = ""
    until: str = ""


def span_of(incremental: Incremental, watermark: str, now: datetime) -> Span:
    """What a run that begins at `now` asks for: what has changed since the watermark, less the lag.

    A watermark that is not of the file's format any more is not used.
    """
    format_ = incremental.format
    since = watermark if _fits(watermark, format_) else _initial(incremental)
    until = moment_mark(now) if is_time(format_) else ""
    if since and is_time(format_) and incremental.lag:
        since = moment_mark(_back(moment_of(since), incremental.lag))
    return Span(since, until)


def window_scope(incremental: Incremental | None, span: Span) -> dict[str, str]:
    """`{window.start}` and `{window.end}`, as far as there are such."""
    if incremental is None:
        return {}
    marks = {"start": span.since, "end": span.until}
    return {name: written(mark, incremental.format) for name, mark in marks.items() if mark}


def highest_of(
    incremental: Incremental,
    records: Iterable[Mapping[str, Any]],
    headers: Mapping[str, str],
    began: datetime,
    seq: int,
) -> str:
    """The furthest mark that page `seq` of a run shows, or none.

    A header counts on the first page only: what changes while later pages are fetched lies behind theirs. Raises
    MalformedResponse for a value that is not of the file's format.
    """
    if incremental.run_start:
        return moment_mark(began) if is_time(incremental.format) else ""
    if incremental.cursor_header is not None:
        value = headers.get(incremental.cursor_header.lower()) if seq == 0 else None
        return _read(value, incremental.cursor_header, incremental.format)
    highest, path = "", incremental.cursor_path or ""
    for mark in marks_of(records, path, incremental.format):
        highest = later(highest, mark, incremental.format)
    return highest


def marks_of(records: Iterable[Mapping[str, Any]], path: str, format_: str) -> list[str]:
    """The marks of the records that have one. Raises MalformedResponse for a value that is not of the format."""
    return [mark for record in records if (mark := mark_in(record, path, format_))]


def mark_in(record: Mapping[str, Any], path: str, format_: str) -> str:
    """The mark of one record, or none. Raises MalformedResponse for a value that is not of the format."""
    return _read(record.get(path) if path.isidentifier() else found_at(path, record), path, format_)


def _read(value: Any, where: str, format_: str) -> str:
    if value is None or value == "":
        return ""
    try:
        return mark_of(value, format_)
    except (ValueError, OverflowError):
        raise MalformedResponse(f"{where}: found {type(value).__name__} that is no {format_}") from None


def _initial(incremental: Incremental) -> str:
    value = incremental.initial_value
    return mark_of(value, incremental.format) if value is not None else ""


def _fits(mark: str, format_: str) -> bool:
    try:
        return bool(mark) and (moment_of(mark) is not None if is_time(format_) else mark_of(mark, format_) == mark)
    except ValueError:
        return False


def _back(moment: datetime, lag: timedelta) -> datetime:
    earliest = datetime.min.replace(tzinfo=UTC)
    return moment - lag if moment - earliest > lag else earliest

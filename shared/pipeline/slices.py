"""The slices of a run: independent parts that are mined one by one, each with pages of its own. Pure.

A plan is made when the run begins and does not change with the pipeline file: slice number n is always the same.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.pipeline.marks import moment_mark, moment_of
from shared.pipeline.spec import FixedWindows, Offset, PageNumber, SlidingWindows, Stream
from shared.pipeline.watermarks import Span

Record = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice asks for: marks from `since` to `until`, half open; empty as in Span.

    A counted slice has the pages or records from `first` up to `end`, which is not its own; None: as far as there are.
    One `of_parents` has what so many records of the parent lead to.
    """

    since: str = ""
    until: str = ""
    first: int | None = None
    end: int | None = None
    of_parents: bool = False

    @property
    def start(self) -> str | None:
        """The cursor of the first page."""
        return None if self.first is None or self.of_parents else str(self.first)

    @property
    def parents(self) -> range:
        """Numbers of the parent's records."""
        return range(self.first or 0, self.end or 0) if self.of_parents else range(0)

    @property
    def length(self) -> timedelta:
        return moment_of(self.until) - moment_of(self.since)

    def halves(self) -> "tuple[Slice, Slice]":
        """The earlier and the later one; between them nothing is lost."""
        if self.of_parents:
            cut = self.parents[len(self.parents) // 2]
            return replace(self, end=cut), replace(self, first=cut)
        middle = moment_mark(moment_of(self.since) + self.length / 2)
        return replace(self, until=middle), replace(self, since=middle)


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows of `size` seconds from `since` to `until`, one every `step` seconds, aligned to `offset`.

    Without a size there is one slice, which asks for all of it, or `count` slices of `each` pages or records from
    `base`; the last of these has no end, because more may come while it is mined. Where the slices are those of a
    parent's records, there are `parents` of them, the ones before `base` not counted in.
    """

    since: str = ""
    until: str = ""
    size: float = 0
    step: float = 0
    offset: float = 0
    base: int = 0
    each: int = 0
    count: int = 1
    parents: int | None = None

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def decode(text: str) -> "Plan":
        return Plan(**json.loads(text)) if text else Plan()

    def slice_at(self, number: int) -> Slice | None:
        """Slice `number`, counted from 0, or None behind the last one. There is always a first one."""
        if self.parents is not None:
            return self._of_parents_at(number, self.parents)
        if self.each:
            return self._counted_at(number)
        if not self.size:
            return Slice(self.since, self.until) if number == 0 else None
        since, until = moment_of(self.since), moment_of(self.until)
        first = _aligned(since, timedelta(seconds=self.step), timedelta(seconds=self.offset))
        begin = first + number * timedelta(seconds=self.step)
        if number and begin - timedelta(seconds=self.step - self.size) >= until:
            return None
        end = min(begin + timedelta(seconds=self.size), until)
        return Slice(moment_mark(max(begin, since)), moment_mark(end))

    def _of_parents_at(self, number: int, parents: int) -> Slice | None:
        first = self.base + number * self.each
        return Slice(first=first, end=min(first + self.each, parents), of_parents=True) if first < parents else None

    def _counted_at(self, number: int) -> Slice | None:
        if number >= self.count:
            return None
        first, is_last = self.base + number * self.each, number == self.count - 1
        return Slice(self.since, self.until, first, None if is_last else first + self.each)


def counted_plan(stream: Stream, span: Span, total: int | None) -> Plan:
    """The plan of a run whose first response counts `total` pages or records."""
    parallel, paginator = stream.parallel, stream.paginator
    if parallel is None:
        return Plan(span.since, span.until)
    match paginator:
        case PageNumber(base_page=base):
            total, each = parallel.pages or total or 0, parallel.pages_per_slice
        case Offset(base_offset=base):
            total, each = total or 0, parallel.records_per_slice
        case _:
            return plan_of(stream, span)
    return Plan(span.since, span.until, base=base, each=each, count=max(1, -(-total // each)))


def bounded(
    current: Slice, stream: Stream, cursor: str | None, records: list[Record], following: str | None
) -> tuple[list[Record], str | None]:
    """The records of a page that are the slice's own, and where its next page starts.

    A page that reaches over the end of the slice shows what the next one brings again.
    """
    if current.end is None or current.of_parents or (following is None and not records):
        return records, following
    if isinstance(stream.paginator, Offset):
        offset = stream.paginator.base_offset if cursor is None else int(cursor)
        records = records[: max(0, current.end - offset)]
    return records, following if following is not None and int(following) < current.end else None


def plan_of(stream: Stream, span: Span) -> Plan:
    """The plan of a run that asks for this span."""
    match stream.windows:
        case FixedWindows(size=size, offset=offset) if span.since and span.until:
            return Plan(span.since, span.until, size.total_seconds(), size.total_seconds(), offset.total_seconds())
        case SlidingWindows(size=size, overlap=overlap, offset=offset) if span.since and span.until:
            step = (size - overlap).total_seconds()
            return Plan(span.since, span.until, size.total_seconds(), step, offset.total_seconds())
        case _:
            return Plan(span.since, span.until)


def split_of(stream: Stream, current: Slice) -> tuple[Slice, Slice] | None:
    """The halves of a slice, or None where it may not be split any more."""
    windows = stream.windows
    if windows is None or windows.split is None or not current.since or not current.until:
        return None
    return current.halves() if current.length >= 2 * windows.split.smallest else None


def encoded(slices: tuple[Slice, ...]) -> str:
    return json.dumps([asdict(each) for each in slices]) if slices else ""


def decoded(text: str) -> tuple[Slice, ...]:
    return tuple(Slice(**each) for each in json.loads(text)) if text else ()


def _aligned(moment: datetime, step: timedelta, offset: timedelta) -> datetime:
    """The last multiple of `step` since 1970, moved by `offset`, that is not behind `moment`."""
    return moment - (moment - EPOCH - offset) % step

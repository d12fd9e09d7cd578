"""When a batch is full, or has waited long enough. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.delivery_table import MAX_PAGES
from shared.pipeline.spec import Custom, Objects, Output
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """So many records or bytes make a batch, or so many seconds since its first page."""

    records: int
    bytes: int
    seconds: float


def limits_of(output: Output, settings: Settings) -> BatchLimits:
    """What the pipeline file says of an output, or else the settings."""
    own = output if isinstance(output, Objects) else None
    seconds = None if isinstance(output, Custom) else output.batch_seconds
    return BatchLimits(
        records=(own and own.batch_records) or settings.delivery_records,
        bytes=(own and own.batch_bytes) or settings.delivery_bytes,
        seconds=settings.delivery_seconds if seconds is None else seconds,
    )


def first_reached(outputs: Iterable[Output], settings: Settings) -> BatchLimits:
    """What wakes the delivery of all of them."""
    limits = [limits_of(output, settings) for output in outputs]
    return BatchLimits(
        min(each.records for each in limits), min(each.bytes for each in limits), min(each.seconds for each in limits)
    )


def ripe_at(waiting: Sequence[CommittedPage], limits: BatchLimits, now: datetime) -> datetime:
    """When what waits is to be written: `now` if it is a full batch, or nothing."""
    records, size = sum(page.records for page in waiting), sum(page.size for page in waiting)
    full = records >= limits.records or size >= limits.bytes or len(waiting) >= MAX_PAGES
    if full or not waiting:
        return now
    return min(now, *(page.mined_at for page in waiting)) + timedelta(seconds=limits.seconds)

"""What `headframe runs` shows of a run: all its checkpoint knows but the cursor itself, which may tell too much."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.delivery_table import Delivery
from shared.checkpoint import Checkpoint
from shared.pipeline.slices import decoded
from shared.services import Services

Shown = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Committed pages that are not in the output yet; `size` counts bytes of JSON."""

    pages: int
    records: int
    size: int

    @staticmethod
    def of(pages: Iterable[CommittedPage]) -> "Waiting":
        found = list(pages)
        return Waiting(len(found), sum(page.records for page in found), sum(page.size for page in found))


def is_overlong(checkpoint: Checkpoint, services: Services, hours: float | None = None) -> bool:
    """Whether a run has been open for longer than that, or than the setting says."""
    most = services.settings.overlong_hours if hours is None else hours
    return checkpoint.is_overlong(services.now(), timedelta(hours=most))


def listed(checkpoint: Checkpoint, *, overlong: bool) -> dict[str, Shown]:
    """The facts of a line of the list."""
    return {
        "pipeline": checkpoint.key.pipeline,
        "stream": checkpoint.key.stream,
        "user": checkpoint.key.user,
        "run": checkpoint.run,
        "slice": checkpoint.slice,
        "state": str(checkpoint.state),
        "reason": checkpoint.reason,
        "overlong": overlong,
        "pages": checkpoint.next_seq,
        "records": checkpoint.records,
        "duplicates": checkpoint.duplicates,
        "retries": checkpoint.retries,
        "started_at": moment(checkpoint.started_at),
        "updated_at": moment(checkpoint.updated_at),
        "ended_at": moment(checkpoint.ended_at),
    }


def standing(checkpoint: Checkpoint, *, overlong: bool) -> dict[str, Shown]:
    """Where a run stands, or one of its strands."""
    return listed(checkpoint, overlong=overlong) | {
        "priority": str(checkpoint.priority),
        "bytes": checkpoint.size,
        "attempt": checkpoint.attempt,
        "failures": checkpoint.failures,
        "replays": checkpoint.replays,
        "not_before": moment(checkpoint.not_before),
        "last_error_kind": str(checkpoint.last_error_kind or ""),
        "last_error": checkpoint.last_error,
        "cursor_length": len(checkpoint.cursor or ""),
        "watermark": mark(checkpoint.watermark),
        "since": mark(checkpoint.since),
        "until": mark(checkpoint.until),
        "backfill": checkpoint.backfill,
        "strands": checkpoint.strands,
        "slices_left_out": len(decoded(checkpoint.given_up)),
        "restarts": checkpoint.restarts,
        "late": checkpoint.late,
        "skipped": checkpoint.skipped,
    }


def delivered(delivery: Delivery, waiting: Waiting) -> dict[str, Shown]:
    """What waits, and what delivery has done: over all runs of the stream and user."""
    return {
        "waiting_pages": waiting.pages,
        "waiting_records": waiting.records,
        "waiting_bytes": waiting.size,
        "delivered_pages": delivery.pages,
        "delivered_records": delivery.records,
        "delivered_objects": delivery.objects,
        "delivery_plan_pages": delivery.plan.pages if delivery.plan else 0,
        "delivery_failures": delivery.failures,
        "delivery_not_before": moment(delivery.not_before),
        "delivery_last_error_kind": str(delivery.last_error_kind or ""),
        "delivery_last_error": delivery.last_error,
    }


def mark(text: str) -> str:
    """A mark that is a time or a number; of any other the length, since it may be as telling as a cursor."""
    return text if re.fullmatch(r"[\d.TZ:-]*", text) else f"{len(text)} characters"


def moment(at: datetime | None) -> str | None:
    """ISO 8601, whole seconds of UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None

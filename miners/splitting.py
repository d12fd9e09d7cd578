"""Windows that are too big for the source are halved."""

from miners.work import Work
from shared.errors import RequestRejected
from shared.outcome import Outcome
from shared.pipeline.responses import Page
from shared.pipeline.slices import Slice, split_of
from shared.runs import write_and_send
from shared.services import Services


def too_big_at_once(work: Work, page: Page) -> tuple[Slice, Slice] | None:
    """The halves of a window of which the first page tells that the source will not show all of it."""
    split = work.stream.windows.split if work.stream.windows else None
    if split is None or split.at is None or page.total is None or page.total < split.at or work.checkpoint.shown:
        return None
    return _halves(work, f"counts {page.total} records")


def cut_short(work: Work, page: Page) -> tuple[Slice, ...]:
    """The halves of a window that has ended where the source shows no more; what it showed is kept."""
    split = work.stream.windows.split if work.stream.windows else None
    shown = work.checkpoint.shown + len(page.records)
    if page.cursor is not None or split is None or split.at is None or split.total_path or shown < split.at:
        return ()
    return _halves(work, f"has shown {shown} records")


def _halves(work: Work, found: str) -> tuple[Slice, Slice]:
    """Raises RequestRejected where the window may not be smaller: something would be missing."""
    halves = split_of(work.stream, work.checkpoint.current)
    if halves is None:
        raise RequestRejected(
            f"the smallest window (windows.split.smallest) {found}, which is windows.split.at or more"
        )
    return halves


async def split(work: Work, halves: tuple[Slice, Slice], services: Services) -> Outcome:
    """The halves of the current slice instead of it. Raises Conflict."""
    await write_and_send(work.checkpoint.split(services.now(), halves), services)
    return Outcome("split", since=halves[0].since, until=halves[1].until)


def smaller_batch(work: Work) -> tuple[Slice, Slice] | None:
    """The halves of a batch of the parent's records whose first page can't be had."""
    current = work.checkpoint.current
    return current.halves() if len(current.parents) > 1 and work.checkpoint.cursor is None else None


def smaller_window(work: Work) -> tuple[Slice, Slice] | None:
    """The halves of a window that the source refuses, where the file says that it may be too big."""
    split = work.stream.windows.split if work.stream.windows else None
    begun = work.checkpoint.cursor is not None
    return split_of(work.stream, work.checkpoint.current) if split and split.on_rejected and not begun else None

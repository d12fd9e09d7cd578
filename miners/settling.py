"""What a page makes true: the checkpoint behind it, the lines that wait for delivery, what is learned and passed along.

Nothing is written here.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from miners.group import Group, Had, Settled
from miners.splitting import cut_short
from miners.work import Work
from processors.dedupe import SeenCache
from processors.records import SeenKeys, Sifted, alive, compressed, learn, output_lines, sift
from processors.transforms import transformed
from shared.adapters.checkpoint_table import CommittedPage
from shared.checkpoint import Checkpoint
from shared.pipeline.chains import counted, decoded_counts, encoded_counts, passed_along
from shared.pipeline.marks import is_before, later, written
from shared.pipeline.page_sizes import grown
from shared.pipeline.responses import Page
from shared.pipeline.sessions import Session, labelled
from shared.pipeline.spec import SessionWindows
from shared.pipeline.watermarks import highest_of, mark_in, marks_of
from shared.services import Services


async def settle(group: Group, had: Had, services: Services, cache: SeenCache) -> Settled:
    """What a page makes true behind the pages that the group has."""
    work, page, now, before = had.work, had.page, had.now, had.work.checkpoint
    seen = await cache.seen(group.begun.run, services.checkpoints)
    sifted = sift(page.records, work.stream, seen.keys, group.learned)
    if not sifted.kept and await _has_caught_up(work, page, group, services):
        page = replace(page, cursor=None)
    guard = before.guard
    if page.cursor is not None:
        guard = guard.advance(before.next_seq, before.cursor, page.cursor)
    passed_before = decoded_counts(work.run.passed_on)
    passed = passed_along(alive(page.records, work.stream), work.pipeline.children(work.stream.name), passed_before)
    labels, session = _sessions(work, page)
    sessions = [labels[id(record)] for record in sifted.kept] if labels else None
    lines = output_lines(transformed(sifted.kept, work.stream, work.scopes), before, now, sifted.deleted, sessions)
    after = before.committed(
        now,
        page.cursor,
        guard,
        records=len(sifted.kept),
        duplicates=sifted.duplicates,
        size=len(lines),
        indexed=bool(sifted.learned) and not group.learned,
        highest=_highest(work, page),
        late=_late(work, sifted),
        shown=len(page.records),
        halves=cut_short(work, page),
        skipped=had.skipped,
        passed_on=encoded_counts(counted(passed_before, passed)),
        session=session,
        not_before=_not_before(work, page, now),
    )
    is_whole_slice = before.cursor == before.current.start and page.cursor is None
    size = grown(work.stream, before.page_size, len(had.page.records), is_whole_slice=is_whole_slice)
    after = replace(after, slots=work.slots.encode(with_slots=False), page_size=size)
    row = _outbox_row(before, sifted, lines, now)
    counts = len(sifted.kept), sifted.duplicates, had.skipped, seen.rows_read
    return Settled(after, row, sifted.learned, passed, *counts)


def _not_before(work: Work, page: Page, now: datetime) -> datetime | None:
    wait = max(page.wait or 0.0, work.slots.rest)
    return now + timedelta(seconds=wait) if wait else None


async def learned_since(before: Checkpoint, ledger: Checkpoint, services: Services) -> SeenKeys:
    learned: SeenKeys = {}
    for row in await services.checkpoints.seen(ledger, before.index_position):
        learn(learned, row)
    return learned


def _sessions(work: Work, page: Page) -> tuple[dict[int, str], str]:
    """The session of each record of the page, by its identity, and the one in hand behind them.

    Also the records that are known already say that a session goes on.
    """
    windows, asks = work.stream.windows, work.stream.incremental
    if not isinstance(windows, SessionWindows) or asks is None or asks.cursor_path is None:
        return {}, ""
    marks = [mark_in(record, asks.cursor_path, asks.format) for record in page.records]
    labels, behind = labelled(Session.decode(work.checkpoint.session), marks, windows.gap)
    written_labels = (written(label, "iso") if label else "" for label in labels)
    return dict(zip(map(id, page.records), written_labels, strict=True)), behind.encode()


def _highest(work: Work, page: Page) -> str:
    """The furthest mark that the run has met, or the watermark. Raises MalformedResponse."""
    before, asks = work.run, work.stream.incremental
    known = before.highest or before.watermark
    if asks is None:
        return known
    return later(known, highest_of(asks, page.records, page.headers, before.started_at, before.next_seq), asks.format)


def _late(work: Work, sifted: Sifted) -> int:
    """How many of the records that are kept lie behind the watermark."""
    asks, watermark = work.stream.incremental, work.run.watermark
    if asks is None or not asks.cursor_path or not watermark:
        return 0
    return sum(is_before(mark, watermark, asks.format) for mark in marks_of(sifted.kept, asks.cursor_path, asks.format))


async def _has_caught_up(work: Work, page: Page, group: Group, services: Services) -> bool:
    """Whether a page of which nothing is kept is where an earlier run began, and that run left nothing out.

    A source that moves while it is paged may show a whole page of this same run again; that is no end.
    """
    before = work.checkpoint
    if work.stream.stop_when != "all_seen" or not before.caught_up or not page.records:
        return False
    start = replace(before, index_position=before.index_start)
    learned = await learned_since(start, group.begun.checkpoint, services) | group.learned
    return not sift(page.records, work.stream, learned).duplicates


def _outbox_row(before: Checkpoint, sifted: Sifted, lines: bytes, now: datetime) -> CommittedPage | None:
    """The outbox row, or None where no record is new."""
    if not sifted.kept:
        return None
    return CommittedPage(
        before.run, before.slice, before.next_seq, now, len(sifted.kept), len(lines), compressed(lines)
    )

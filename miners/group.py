"""The pages of one message: fetched one after the other, and true together."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from miners.work import Work
from processors.records import SeenKeys, learn
from shared.adapters.checkpoint_table import CommittedPage
from shared.checkpoint import WHOLE, Checkpoint
from shared.pipeline.chains import Passed
from shared.pipeline.responses import Page

TIME_BOX = timedelta(seconds=15)
"""After so long no further page is begun: a message is locked for 30 seconds at a time."""

MOST_BYTES = 1_500_000
"""Compressed lines of a group. One transaction holds 3 MiB, and the last page may be a large one."""

MOST_ROWS = 60
"""Of 100 that one transaction holds; the last page may pass along to many streams."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one page makes true; `row` is None where no record is new."""

    after: Checkpoint
    row: CommittedPage | None
    learned: bytes
    passed: tuple[Passed, ...]
    records: int
    duplicates: int
    skipped: int
    index_rows: int
    """Of the dedupe index, that had to be read."""


@dataclass(frozen=True, slots=True)
class Had:
    """A page as it was had, `skipped` records of it left out; `work` is at the page."""

    work: Work
    page: Page
    skipped: int
    now: datetime


@dataclass(slots=True)
class Group:
    """`begun` is the work as the message found it, `work` the same behind the pages that were settled since.

    `learned` are the keys of those pages, which no index holds yet, and `rows` what is to be committed of them.
    """

    begun: Work
    started: datetime
    work: Work = field(init=False)
    pages: int = 0
    rows: list[CommittedPage] = field(default_factory=list)
    learned_rows: list[bytes] = field(default_factory=list)
    learned: SeenKeys = field(default_factory=dict)
    had: Had | None = None
    """The last page."""
    passed: list[Passed] = field(default_factory=list)
    records: int = 0
    duplicates: int = 0
    skipped: int = 0
    index_rows: int = 0

    def __post_init__(self) -> None:
        self.work = self.begun

    def add(self, had: Had, settled: Settled) -> None:
        """One page further."""
        self.work, self.had = replace(had.work, checkpoint=settled.after), had
        self.pages += 1
        self.rows += [settled.row] if settled.row is not None else []
        if settled.learned:
            self.learned_rows.append(settled.learned)
            learn(self.learned, settled.learned)
        self.passed += settled.passed
        self.records += settled.records
        self.duplicates += settled.duplicates
        self.skipped += settled.skipped
        self.index_rows += settled.index_rows

    @property
    def learned_row(self) -> bytes:
        """What the dedupe index learns."""
        return b"".join(self.learned_rows)

    @property
    def after(self) -> Checkpoint:
        """The checkpoint to be committed; it remembers where the group began."""
        return replace(self.work.checkpoint, group=self.begun.checkpoint.next_seq)

    def goes_on(self, most: int, now: datetime) -> bool:
        """Whether another page belongs to the group.

        A run that is to be divided, and a strand, which shares its ledger with others, commit every page by itself.
        """
        now_at = self.work.checkpoint
        is_alone = self.work.stream.at_once == 1 and now_at.slice == WHOLE
        if not (is_alone and now_at.is_open and now_at.not_before is None and self.pages < most):
            return False
        size = sum(len(row.lines) for row in self.rows) + sum(map(len, self.learned_rows))
        is_small = size < MOST_BYTES and len(self.rows) + len(self.passed) < MOST_ROWS
        return is_small and now - self.started < TIME_BOX

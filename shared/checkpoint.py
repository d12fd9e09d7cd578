"""The checkpoint: where a slice of a run stands. Pure; storing it is `adapters/checkpoint_table.py`.

Its position is (run, seq, attempt). A wake-up that is behind makes the miner send the current wake-up again,
because the one that should have followed may never have been sent; anything older is ignored. Every transition
below is written with If-Match, so of two workers that hold the same checkpoint one fails and reads again.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.errors import ErrorKind
from shared.messages import Priority, StreamKey, WakeUp
from shared.pipeline.loop_guard import NO_LOOP, LoopGuard
from shared.pipeline.slices import Plan, Slice, decoded, encoded

WHOLE = "all"
"""Id of the only slice of a run that is not divided."""


LONGEST_LIST = 20_000
"""Characters of the slices that a run has left out."""


class RunState(StrEnum):
    """`partial` runs have ended and left slices out, `failed` ones have ended at their first failure."""

    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    PARKED = "parked"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Extent:
    """What somebody asked a run for: marks from `since` to `until`, or everything anew (`full`).

    Nothing said means what is due: what has changed since the watermark.
    """

    since: str = ""
    until: str = ""
    full: bool = False

    @property
    def is_backfill(self) -> bool:
        return bool(self.since or self.until)


DUE = Extent()


class Standing(StrEnum):
    """How a wake-up stands to the checkpoint it names."""

    CURRENT = "current"
    BEHIND = "behind"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run of one stream and user stands.

    `next_seq` is the page to mine next, so it is also the number of pages committed; the last of them were committed
    together, from `group` on. `staged_*` count what was
    committed since delivery was last woken at once; `staged_since` is when its last timed wake-up was asked for.
    `index_position` counts the rows of the dedupe index called `index`; both outlive runs, and `index_start` is where
    this run found it. `watermark` outlives runs too: the mark (see pipeline/marks.py) up to which everything has been
    mined. `highest` is the furthest mark that the run has seen, `late` counts records behind the watermark. A
    `backfill` leaves the watermark where it is, a run that is made `anew` asks for everything. `caught_up` says that
    the run before was done, so that nothing older is missing.

    The current slice asks for what lies between `since` and `until`; `part` is its number in the `plan`, `todo` are
    slices that come before the next one of the plan, `given_up` those that were left out (see pipeline/slices.py).
    `shown` counts the records that the slice has shown, `restarts` how often it was begun anew, `skipped` the records
    of the run that could not be written. A counted slice has what is from `first` up to `end`. A run that is mined by
    several `strands` (see strands.py) shares out its slices from `next_part` on. Where the stream feeds others,
    `passed_on` counts by stream what has been passed along to them; `of_parents` says that the slice itself has been
    made so (see chains.py), and `former` is the watermark that the run began with. `session` is the one in hand (see
    pipeline/sessions.py), `former_session` that with which the run began. `slots` are requests that are booked for
    the page that comes next (see pipeline/slots.py). `page_size` is how many records are asked for where that is
    adaptive (0: as the file says), and outlives runs. Times are UTC; sizes are bytes of JSON.
    """

    key: StreamKey
    run: str
    started_at: datetime
    slice: str = WHOLE
    state: RunState = RunState.RUNNING
    priority: Priority = Priority.NORMAL
    next_seq: int = 0
    group: int = 0
    attempt: int = 0
    not_before: datetime | None = None
    slots: str = ""
    page_size: int = 0
    cursor: str | None = None
    guard: LoopGuard = NO_LOOP
    failures: int = 0
    retries: int = 0
    replays: int = 0
    last_error_kind: ErrorKind | None = None
    last_error: str = ""
    reason: str = ""
    records: int = 0
    duplicates: int = 0
    size: int = 0
    staged_records: int = 0
    staged_bytes: int = 0
    staged_since: datetime | None = None
    index: str = ""
    index_start: int = 0
    index_position: int = 0
    watermark: str = ""
    since: str = ""
    until: str = ""
    highest: str = ""
    late: int = 0
    backfill: bool = False
    anew: bool = False
    caught_up: bool = False
    plan: str = ""
    part: int = 0
    todo: str = ""
    given_up: str = ""
    shown: int = 0
    restarts: int = 0
    skipped: int = 0
    first: int | None = None
    end: int | None = None
    of_parents: bool = False
    passed_on: str = ""
    former: str = ""
    session: str = ""
    former_session: str = ""
    next_part: int = 0
    strands: int = 0
    open_strands: int = 0
    parked_strands: int = 0
    updated_at: datetime | None = None
    ended_at: datetime | None = None
    etag: str | None = field(default=None, compare=False, repr=False)

    @property
    def is_open(self) -> bool:
        return self.state is RunState.RUNNING

    @property
    def is_over(self) -> bool:
        """Ended by somebody or by a failure: what is still under way for it is not wanted."""
        return self.state in {RunState.CANCELLED, RunState.FAILED}

    def is_overlong(self, now: datetime, most: timedelta) -> bool:
        """Whether the run has been open for longer; a parked one waits for somebody and is not counted."""
        return self.is_open and now - self.started_at > most

    def wake_up(self) -> WakeUp:
        """The wake-up that this checkpoint is waiting for."""
        return WakeUp(
            pipeline=self.key.pipeline,
            stream=self.key.stream,
            user=self.key.user,
            run=self.run,
            slice=self.slice,
            seq=self.next_seq,
            attempt=self.attempt,
        )

    def delivery_wake_up(self) -> WakeUp:
        """The wake-up for delivering what has been committed up to now."""
        return self.wake_up().model_copy(update={"kind": "deliver", "seq": max(self.next_seq - 1, 0), "attempt": 0})

    def standing(self, wake_up: WakeUp) -> Standing:
        """Decide what a wake-up means here; see the module docstring."""
        if wake_up.run != self.run or self.state not in {RunState.RUNNING, RunState.DONE, RunState.PARTIAL}:
            return Standing.STALE
        if self.strands:
            return Standing.BEHIND
        if self.is_open and wake_up.seq == self.next_seq and wake_up.attempt >= self.attempt:
            return Standing.CURRENT
        return Standing.BEHIND if self.group <= wake_up.seq <= self.next_seq else Standing.STALE

    @staticmethod
    def begin(key: StreamKey, run: str, now: datetime, priority: Priority, index: str) -> "Checkpoint":
        """The first run of a stream and user."""
        return Checkpoint(key, run, now, priority=priority, index=index, updated_at=now)

    def begin_again(
        self, run: str, now: datetime, priority: Priority, index: str, *, followed: bool = True
    ) -> "Checkpoint":
        """A new run; the dedupe index goes on where it has the same name, and the watermark stays.

        Unless the streams that the last run fed have `followed` it to the end, its records are asked for again.
        """
        fresh = Checkpoint.begin(self.key, run, now, priority, index)
        position = self.index_position if index == self.index else 0
        caught_up = self.state is RunState.DONE and not self.backfill and followed
        watermark = self.watermark if followed else self.former
        session = self.session if caught_up else self.former_session
        return replace(
            fresh,
            index_start=position,
            index_position=position,
            watermark=watermark,
            former=watermark,
            session=session,
            former_session=session,
            page_size=self.page_size,
            caught_up=caught_up,
            etag=self.etag,
        )

    def asking_for(self, plan: Plan, *, backfill: bool = False, anew: bool = False) -> "Checkpoint":
        """The run is to bring the slices of this plan. One of a range, or of everything, has sessions of its own."""
        first = plan.slice_at(0) or Slice()
        session = "" if backfill or anew else self.session
        return replace(self.beginning(first, 0), plan=plan.encode(), backfill=backfill, anew=anew, session=session)

    def committed(
        self,
        now: datetime,
        cursor: str | None,
        guard: LoopGuard,
        *,
        records: int,
        duplicates: int,
        size: int,
        indexed: bool,
        highest: str = "",
        late: int = 0,
        shown: int = 0,
        halves: tuple[Slice, ...] = (),
        skipped: int = 0,
        passed_on: str = "",
        session: str = "",
        not_before: datetime | None = None,
    ) -> "Checkpoint":
        """One page further. `cursor` None means that this was the last page of its slice; `halves` are slices that
        come next because this one has not shown everything; `not_before` is when the next page may be fetched."""
        further = replace(
            self,
            next_seq=self.next_seq + 1,
            attempt=0,
            not_before=not_before,
            cursor=cursor,
            guard=guard,
            failures=0,
            records=self.records + records,
            duplicates=self.duplicates + duplicates,
            size=self.size + size,
            staged_records=self.staged_records + records,
            staged_bytes=self.staged_bytes + size,
            index_position=self.index_position + (1 if indexed else 0),
            highest=highest,
            late=self.late + late,
            shown=self.shown + shown,
            skipped=self.skipped + skipped,
            passed_on=passed_on,
            session=session,
            todo=encoded(halves + decoded(self.todo)),
            updated_at=now,
        )
        return further if cursor is not None else further._after_slice(now)

    @property
    def current(self) -> Slice:
        return Slice(self.since, self.until, self.first, self.end, self.of_parents)

    def split(self, now: datetime, halves: tuple[Slice, Slice]) -> "Checkpoint":
        """The current slice is too big for the source: its halves instead, from their beginnings."""
        waiting = replace(self.postponed(now, now), todo=encoded(halves + decoded(self.todo)))
        return waiting._after_slice(now)

    def restarted(self, now: datetime, until: datetime) -> "Checkpoint":
        """The current slice from its beginning."""
        fresh = replace(self.postponed(now, until), restarts=self.restarts + 1)
        return replace(fresh, cursor=self.current.start, guard=NO_LOOP, shown=0)

    @property
    def may_give_up(self) -> bool:
        """Whether another slice may be left out: all of them stand in one property of a row."""
        return len(self.given_up) < LONGEST_LIST

    def gave_up(self, now: datetime, kind: ErrorKind, error: str) -> "Checkpoint":
        """The current slice is left out, the run goes on with the next one."""
        left_out = encoded((*decoded(self.given_up), self.current))
        noted = replace(self.postponed(now, now), given_up=left_out, last_error_kind=kind, last_error=error)
        return noted._after_slice(now)

    def ended_as_failed(self, now: datetime, kind: ErrorKind, error: str) -> "Checkpoint":
        """The run is over; what was committed stays."""
        over = replace(self, state=RunState.FAILED, reason=str(kind), last_error_kind=kind, last_error=error)
        return replace(over, not_before=None, updated_at=now, ended_at=now)

    def planned(self, plan: Plan) -> "Checkpoint":
        """The run has learned on its first page how many slices it has, of which this page is in the first."""
        first = plan.slice_at(0) or self.current
        return replace(self, plan=plan.encode(), first=first.first, end=first.end)

    def beginning(self, following: Slice, part: int) -> "Checkpoint":
        """At the first page of this slice."""
        return replace(
            self,
            state=RunState.RUNNING,
            since=following.since,
            until=following.until,
            first=following.first,
            end=following.end,
            of_parents=following.of_parents,
            part=part,
            cursor=following.start,
            guard=NO_LOOP,
            failures=0,
            shown=0,
            restarts=0,
            ended_at=None,
        )

    def going_on(self, plan: Plan, now: datetime) -> "Checkpoint":
        """A run that has ended begins the slices of another plan, because its parent has passed along more."""
        again = replace(self.postponed(now, now), plan=plan.encode(), strands=0, reason="")
        return replace(again.asking_for(plan, anew=self.anew), next_part=max(1, self.next_part))

    def ended(self, now: datetime) -> "Checkpoint":
        """The watermark moves if nothing was left out."""
        if self.given_up:
            reason = str(self.last_error_kind or "")
            return replace(self, state=RunState.PARTIAL, reason=reason, not_before=None, ended_at=now)
        moves = self.highest and not self.backfill
        watermark = self.highest if moves else self.watermark
        return replace(self, state=RunState.DONE, watermark=watermark, not_before=None, ended_at=now)

    def _after_slice(self, now: datetime) -> "Checkpoint":
        """At the beginning of the next slice, or at the end of the run."""
        waiting = decoded(self.todo)
        if waiting:
            return replace(self, todo=encoded(waiting[1:])).beginning(waiting[0], self.part)
        following = Plan.decode(self.plan).slice_at(self.part + 1)
        return self.ended(now) if following is None else self.beginning(following, self.part + 1)

    def delivery_woken(self) -> "Checkpoint":
        """Nothing staged is waiting any more; the next staged page starts a new count."""
        return replace(self, staged_records=0, staged_bytes=0, staged_since=None)

    def staging_since(self, now: datetime) -> "Checkpoint":
        """A delivery has been scheduled for what is staged from now on."""
        return replace(self, staged_since=now)

    def postponed(self, now: datetime, until: datetime) -> "Checkpoint":
        """The same page later, under a new attempt: admission, a limit, a replay, the reconciler."""
        return replace(self, attempt=self.attempt + 1, not_before=until, updated_at=now)

    def failed(self, now: datetime, until: datetime, kind: ErrorKind, error: str) -> "Checkpoint":
        """The same page later, with the evidence of why."""
        return replace(
            self.postponed(now, until),
            failures=self.failures + 1,
            retries=self.retries + 1,
            last_error_kind=kind,
            last_error=error,
        )

    def replayed(self, now: datetime, until: datetime) -> "Checkpoint":
        """The same page later, because its wake-up was dead-lettered."""
        return replace(self.postponed(now, until), replays=self.replays + 1)

    def parked(self, now: datetime, reason: str, kind: ErrorKind | None, error: str) -> "Checkpoint":
        """Stopped where it stands until somebody or something resumes it."""
        return replace(
            self,
            state=RunState.PARKED,
            reason=reason,
            last_error_kind=kind or self.last_error_kind,
            last_error=error or self.last_error,
            not_before=None,
            updated_at=now,
        )

    def resumed(self, now: datetime, until: datetime | None = None) -> "Checkpoint":
        """Running again from the same page, now or later; a partial run with the slices that it left out."""
        again = replace(self.postponed(now, until or now), state=RunState.RUNNING, reason="")
        running = replace(again, failures=0, replays=0, restarts=0)
        if self.state is RunState.PARTIAL:
            left_out = replace(running, todo=self.given_up, given_up="", strands=0, ended_at=None)
            return replace(left_out, part=max(self.part, self.next_part))._after_slice(now)
        return replace(running, guard=replace(self.guard, repeats=0, laps=0))

    def cancelled(self, now: datetime, reason: str) -> "Checkpoint":
        return replace(self, state=RunState.CANCELLED, reason=reason, updated_at=now, ended_at=now)

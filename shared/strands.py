"""Strands: a run whose slices are mined side by side has a few, each with a checkpoint of its own. Pure.

The checkpoint of the whole run is then its ledger: every commit of a strand writes it too, in the same transaction. So
the dedupe index has one order, a slice is taken by one strand, and cancelling the run stops them all. There are never
more strands than slices may be mined at a time, on however many instances.
"""

from dataclasses import replace
from datetime import datetime

from shared.checkpoint import Checkpoint, RunState
from shared.errors import ErrorKind
from shared.pipeline.slices import Plan, decoded, encoded


def strand_id(number: int) -> str:
    return f"s{number:02d}"


def divided(run: Checkpoint, most: int, now: datetime) -> tuple[Checkpoint, list[Checkpoint]]:
    """A run behind its first page as a ledger, and its strands; no strands where there is nothing to share out.

    The first strand goes on where the run stands.
    """
    if not run.is_open or run.next_part:  # strands of the same names have had their pages
        return run, []
    plan, next_part = Plan.decode(run.plan), run.part + 1
    strands = [_strand(run, 1)]
    while len(strands) < most and (following := plan.slice_at(next_part)) is not None:
        strands.append(_strand(run, len(strands) + 1).beginning(following, next_part))
        next_part += 1
    if len(strands) == 1:
        return run, []
    count = len(strands)
    ledger = replace(run, strands=count, open_strands=count, next_part=next_part, cursor=None, todo="", updated_at=now)
    return replace(ledger, not_before=None), strands


def absorbed(ledger: Checkpoint, before: Checkpoint, after: Checkpoint) -> Checkpoint:
    """The ledger with what one page has brought, by its strand `before` and `after` it."""
    return replace(
        ledger,
        next_seq=ledger.next_seq + after.next_seq - before.next_seq,
        records=ledger.records + after.records - before.records,
        duplicates=ledger.duplicates + after.duplicates - before.duplicates,
        size=ledger.size + after.size - before.size,
        index_position=ledger.index_position + after.index_position - before.index_position,
        highest=after.highest,
        late=ledger.late + after.late - before.late,
        skipped=ledger.skipped + after.skipped - before.skipped,
        passed_on=after.passed_on,
    )


def shared_out(ledger: Checkpoint, strand: Checkpoint, now: datetime) -> tuple[Checkpoint, Checkpoint]:
    """A strand at the end of its slice takes the next one of the plan, or is over, and with the last one the run."""
    if strand.given_up:
        left_out = encoded((*decoded(ledger.given_up), *decoded(strand.given_up)))
        noted = replace(ledger, last_error_kind=strand.last_error_kind, last_error=strand.last_error)
        ledger, strand = replace(noted, given_up=left_out), replace(strand, given_up="")
    if strand.is_open:
        return ledger, strand
    following = Plan.decode(ledger.plan).slice_at(ledger.next_part)
    if following is not None:
        taken = strand.beginning(following, ledger.next_part)
        return replace(ledger, next_part=ledger.next_part + 1), taken
    return _one_less(ledger, now), replace(strand, state=RunState.DONE)


def strand_parked(ledger: Checkpoint, now: datetime, reason: str, kind: ErrorKind | None, error: str) -> Checkpoint:
    """A strand waits for somebody; the others go on."""
    waiting = replace(
        ledger,
        parked_strands=ledger.parked_strands + 1,
        reason=reason,
        last_error_kind=kind or ledger.last_error_kind,
        last_error=error or ledger.last_error,
    )
    return _one_less(waiting, now)


def all_resumed(ledger: Checkpoint, now: datetime) -> Checkpoint:
    """The parked strands go on."""
    running = replace(ledger, state=RunState.RUNNING, reason="", updated_at=now)
    return replace(running, open_strands=ledger.open_strands + ledger.parked_strands, parked_strands=0)


def _strand(run: Checkpoint, number: int) -> Checkpoint:
    """A strand that stands where the run does, with pages and counts of its own."""
    fresh = Checkpoint(run.key, run.run, run.started_at, strand_id(number), priority=run.priority, index=run.index)
    return replace(
        fresh,
        cursor=run.cursor,
        guard=run.guard,
        since=run.since,
        until=run.until,
        first=run.first,
        end=run.end,
        of_parents=run.of_parents,
        part=run.part,
        todo=run.todo if number == 1 else "",
        shown=run.shown,
        page_size=run.page_size,
        watermark=run.watermark,
        not_before=run.not_before,
        updated_at=run.updated_at,
    )


def _one_less(ledger: Checkpoint, now: datetime) -> Checkpoint:
    left = replace(ledger, open_strands=ledger.open_strands - 1, updated_at=now)
    if left.open_strands:
        return left
    return replace(left, state=RunState.PARKED) if left.parked_strands else left.ended(now)

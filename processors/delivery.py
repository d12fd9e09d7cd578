"""Delivery: committed pages of one stream and user → one object in the output, written once, exactly once.

    1 plan    which pages, which name            written to the delivery row with If-Match
    2 write   the object, if its name is free    the same pages give the same bytes
    3 mark    forget pages and plan              one transaction

Cut off after 1 or 2, the next delivery finds the plan and carries out the same one: the object that is there already
counts as written. A page that is committed meanwhile waits for the next plan.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from processors.dead_letters import Letter, park_message
from processors.records import decompressed
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.delivery_table import MAX_PAGES, Delivery, Plan
from shared.errors import AlreadyExists, Conflict, ErrorKind, MalformedMessage, OutputUnavailable
from shared.messages import StreamKey, WakeUp
from shared.outcome import Outcome
from shared.retries import next_wait
from shared.runs import LONGEST_ERROR, deliver_again
from shared.services import Services

TIME_BOX = timedelta(seconds=15)
LONGEST_WAIT = 300.0
SOON = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    records: int
    bytes: int


async def deliver(letter: Letter, services: Services) -> Outcome:
    """Handle one message of the `deliver` queue."""
    try:
        wake_up = WakeUp.decode(letter.body)
    except MalformedMessage as error:
        return await park_message(letter, str(error), services)
    return (await deliver_stream(wake_up, services)).about(wake_up)


async def deliver_stream(wake_up: WakeUp, services: Services) -> Outcome:
    """Write out everything that is committed for the stream and user of this wake-up.

    When the output fails, delivery comes back later, as long as it takes: committed pages wait, mining goes on.
    """
    started = services.now()
    delivery = await services.deliveries.read(wake_up.key)
    if delivery.not_before is not None and delivery.not_before > started + SOON and wake_up.attempt < delivery.attempt:
        await _send_postponed(wake_up, delivery, services)
        return Outcome("waiting", failures=delivery.failures)
    totals = delivery.records, delivery.objects
    try:
        delivery = await _drain(delivery, started + TIME_BOX, services)
        if services.now() > started + TIME_BOX:
            await deliver_again(wake_up, services)
    except OutputUnavailable as error:
        return await _come_back(wake_up, error, services)
    return Outcome("delivered", records=delivery.records - totals[0], objects=delivery.objects - totals[1])


async def _send_postponed(wake_up: WakeUp, delivery: Delivery, services: Services) -> None:
    """The wake-up that is to come may never have been sent; if it was, this one is dropped as its duplicate."""
    await services.send(wake_up.model_copy(update={"attempt": delivery.attempt}), at=delivery.not_before)


async def _drain(delivery: Delivery, deadline: datetime, services: Services) -> Delivery:
    """Plan after plan until nothing waits or the time is over.

    Pages that are committed after the last look are not looked for: each asked for a delivery of its own.
    """
    waiting: list[CommittedPage] = []
    may_be_more = True
    while services.now() <= deadline:
        try:
            if delivery.plan is None:
                if not waiting and may_be_more:
                    waiting = await services.deliveries.waiting(delivery.key)
                    may_be_more = len(waiting) == MAX_PAGES
                if not waiting:
                    return delivery
                plan = next_plan(delivery.key, waiting, _limits(services))
                delivery = await services.deliveries.write(delivery.planned(plan))
                waiting = waiting[plan.pages :]
            delivery = await _carry_out(delivery, services)
        except Conflict:  # somebody else delivers here too: see what is left
            found = await services.deliveries.read(delivery.key)
            if found.etag == delivery.etag and found.plan is not None:
                raise OutputUnavailable(f"{found.plan.name}: pages of this plan are missing") from None
            delivery, waiting, may_be_more = found, [], True
    return delivery


async def _carry_out(delivery: Delivery, services: Services) -> Delivery:
    """Raises Conflict when somebody else carried out the plan meanwhile."""
    if delivery.plan is None:
        return delivery
    pages = await services.deliveries.pages(delivery.key, delivery.plan)
    with contextlib.suppress(AlreadyExists):  # a delivery that was cut off wrote this same object
        await services.output.write_once(delivery.plan.name, b"".join(decompressed(page.lines) for page in pages))
    return await services.deliveries.mark_delivered(delivery, pages)


def next_plan(key: StreamKey, waiting: Sequence[CommittedPage], limits: BatchLimits) -> Plan:
    """The longest run of pages from the front that fits: one run and slice, one day, within the limits. Pure.

    A page is never divided, so a single page may be over the limits.
    """
    first = waiting[0]
    same = list(takewhile(lambda page: _origin(page) == _origin(first), waiting))
    batch, records, size = [first], first.records, first.size
    for page in same[1:]:
        records, size = records + page.records, size + page.size
        if records > limits.records or size > limits.bytes:
            break
        batch.append(page)
    last = batch[-1]
    name = f"{first.run}-{first.slice}-{first.seq:06d}-{last.seq:06d}.jsonl"
    return Plan(
        name=f"{key.pipeline}/{key.stream}/date={first.mined_at:%Y-%m-%d}/{name}",
        first=first.row_key,
        last=last.row_key,
        pages=len(batch),
        records=sum(page.records for page in batch),
    )


def _origin(page: CommittedPage) -> tuple[object, ...]:
    return page.run, page.slice, page.mined_at.date()


def _limits(services: Services) -> BatchLimits:
    return BatchLimits(services.settings.delivery_records, services.settings.delivery_bytes)


async def _come_back(wake_up: WakeUp, error: OutputUnavailable, services: Services) -> Outcome:
    """Later, under a new attempt. A conflict means that another delivery of the stream met the same outage: this one
    still comes back by itself, because the other may have looked before this one's pages were committed."""
    while True:
        delivery = await services.deliveries.read(wake_up.key)
        wait = next_wait(ErrorKind.TEMPORARY, delivery.failures, None, services.random) or LONGEST_WAIT
        until = services.now() + timedelta(seconds=wait)
        failed = delivery.failed(until, ErrorKind.TEMPORARY, str(error)[:LONGEST_ERROR])
        try:
            written = await services.deliveries.write(failed)
        except Conflict:
            continue
        await services.send(wake_up.model_copy(update={"attempt": written.attempt}), at=until)
        return Outcome("postponed", error=str(error), seconds=round(wait, 1), failures=written.failures)

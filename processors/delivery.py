"""Delivery: committed pages of one stream and user → objects in each output, written once, exactly once.

    1 plan    which pages, which name            written to the delivery row with If-Match
    2 write   the object, if its name is free    the same pages give the same bytes
    3 mark    forget plan, and pages all have    one transaction

Cut off after 1 or 2, the next delivery finds the plan and carries out the same one: the object that is there already
counts as written. A page that is committed meanwhile waits for the next plan.

Each output has plans of its own. One that fails is left for later, and the others go on.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from pydantic import TypeAdapter

from processors.batches import BatchLimits, first_reached, limits_of, ripe_at
from processors.dead_letters import Letter, park_message
from processors.formats import folder, objects_of
from processors.output_sending import send_pages, write_custom
from processors.records import decompressed
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.delivery_table import MAX_PAGES, MOST_AHEAD, Delivery, Plan
from shared.errors import AlreadyExists, Conflict, ErrorKind, MalformedMessage, OutputUnavailable
from shared.messages import StreamKey, WakeUp
from shared.outcome import Outcome
from shared.pipeline.spec import DEFAULT_OUTPUTS, Custom, JsonLines, Output, Parquet, ServiceBusMessages, output_id
from shared.retries import next_wait
from shared.runs import LONGEST_ERROR, deliver_again
from shared.services import Services

TIME_BOX = timedelta(seconds=15)
LONGEST_WAIT = 300.0
SOON = timedelta(seconds=2)
OUTPUT: TypeAdapter[Output] = TypeAdapter(Output)


async def deliver(letter: Letter, services: Services) -> Outcome:
    """Handle one message of the `deliver` queue."""
    try:
        wake_up = WakeUp.decode(letter.body)
    except MalformedMessage as error:
        return await park_message(letter, str(error), services)
    await services.backlog.note(letter.queue, letter.enqueued_at, services.now())
    return (await deliver_stream(wake_up, services)).about(wake_up)


async def deliver_stream(wake_up: WakeUp, services: Services) -> Outcome:
    """Write out everything that is committed for the stream and user of this wake-up.

    When the output fails, delivery comes back later, as long as it takes: committed pages wait, mining goes on.
    """
    started = services.now()
    outputs = outputs_of(wake_up.key, services)
    delivery = await _settled(await services.deliveries.read(wake_up.key), outputs, services)
    early = delivery.not_before is not None and delivery.not_before > started + SOON
    postponed = early and wake_up.attempt < delivery.attempt
    due = _due(outputs, delivery, wake_up, postponed)
    if postponed:
        await _send_postponed(wake_up, delivery, services)
    unripe = await _unripe(delivery, due, outputs, services)
    if unripe:
        delivery = await _held_back(wake_up, delivery, min(unripe.values()), services)
        due = {name: output for name, output in due.items() if name not in unripe}
    if not due:
        return Outcome("waiting", failures=delivery.failures)
    totals = delivery.records, delivery.objects
    held = any(len(delivery.outputs[name].ahead) >= MOST_AHEAD for name in due if name in delivery.outputs)
    failed: dict[str, str] = {}
    for name, output in due.items():
        try:
            delivery = await _drain(delivery.of(name), output, services.now() + TIME_BOX / len(due), services)
        except OutputUnavailable as error:
            failed[name] = str(error)
            delivery = (await services.deliveries.read(wake_up.key)).among(outputs)
    if failed:
        return await _come_back(wake_up, failed, outputs, services)
    if services.now() > started + TIME_BOX / len(outputs) or held:
        await deliver_again(wake_up, services)
    return Outcome("delivered", records=delivery.records - totals[0], objects=delivery.objects - totals[1])


def outputs_of(key: StreamKey, services: Services) -> dict[str, Output]:
    """The outputs of a stream by their ids. Pages of a pipeline whose file is gone go where they usually would."""
    pipeline = services.pipelines.get(key.pipeline)
    outputs = (pipeline and pipeline.outputs) or DEFAULT_OUTPUTS
    return {output_id(output): output for output in outputs}


async def _settled(delivery: Delivery, outputs: Mapping[str, Output], services: Services) -> Delivery:
    """With the outputs that the pipeline file has now."""
    if delivery.outputs.keys() <= set(outputs):
        return delivery.among(outputs)
    try:
        return await services.deliveries.settle(delivery, list(outputs))
    except Conflict:
        return (await services.deliveries.read(delivery.key)).among(outputs)


def _due(outputs: Mapping[str, Output], delivery: Delivery, wake_up: WakeUp, postponed: bool) -> dict[str, Output]:
    """Those to try now. While a failed output waits the others go on; who begins changes with the attempts, because
    time may be short."""
    names = list(outputs)
    turn = wake_up.attempt % len(names)
    if postponed:
        names = [name for name in names if delivery.failing and name not in delivery.failing]
    return {name: outputs[name] for name in names[turn:] + names[:turn]}


async def _send_postponed(wake_up: WakeUp, delivery: Delivery, services: Services) -> None:
    """The wake-up that is to come may never have been sent; if it was, this one is dropped as its duplicate."""
    await services.send(wake_up.model_copy(update={"attempt": delivery.attempt}), at=delivery.not_before)


async def _unripe(
    delivery: Delivery, due: Mapping[str, Output], outputs: Mapping[str, Output], services: Services
) -> dict[str, datetime]:
    """Outputs that want larger batches than others, and when theirs has waited long enough. While a run is open only:
    what it leaves behind is written at once."""
    limits = {name: limits_of(output, services.settings) for name, output in due.items()}
    first = first_reached(outputs.values(), services.settings)
    patient = [name for name in due if limits[name] != first and delivery.of(name).plan is None]
    crowded = any(len(each.ahead) >= MOST_AHEAD for each in delivery.outputs.values())
    run = await services.checkpoints.read(delivery.key) if patient and not crowded else None
    if run is None or not run.is_open:
        return {}
    unripe: dict[str, datetime] = {}
    for name in patient:
        waiting = await services.deliveries.waiting(delivery.key, delivery.of(name).progress)
        ripe = ripe_at(waiting, limits[name], services.now())
        if ripe > services.now() + SOON and waiting[0].run == run.run:
            unripe[name] = ripe
    return unripe


async def _held_back(wake_up: WakeUp, delivery: Delivery, until: datetime, services: Services) -> Delivery:
    """Delivery comes back at `until`, if it does not anyway."""
    others = delivery.others
    while True:
        known = delivery.held_until
        if known is not None and services.now() < known <= until + SOON:
            return delivery
        try:
            written = await services.deliveries.write(delivery.held(until))
        except Conflict:
            delivery = (await services.deliveries.read(wake_up.key)).among(others)
            continue
        await services.send(wake_up.model_copy(update={"attempt": written.attempt}), at=until)
        return written


async def _drain(delivery: Delivery, output: Output, deadline: datetime, services: Services) -> Delivery:
    """Plan after plan of the output in hand until nothing waits or the time is over.

    Pages that are committed after the last look are not looked for: each asked for a delivery of its own.
    """
    waiting: list[CommittedPage] = []
    may_be_more = True
    while services.now() <= deadline:
        try:
            if delivery.plan is None:
                if not waiting and may_be_more:
                    waiting = await services.deliveries.waiting(delivery.key, delivery.progress)
                    may_be_more = len(waiting) == MAX_PAGES or bool(delivery.progress.ahead)
                if not waiting or len(delivery.progress.ahead) >= MOST_AHEAD:
                    return delivery
                plan = next_plan(delivery.key, waiting, limits_of(output, services.settings), output)
                delivery = await services.deliveries.write(delivery.planned(plan))
                waiting = waiting[plan.pages :]
            delivery = await _carry_out(delivery, services)
        except Conflict:  # somebody else delivers here too: see what is left
            found = (await services.deliveries.read(delivery.key)).among(delivery.others).of(delivery.output)
            if found.etag == delivery.etag and found.plan is not None:
                raise OutputUnavailable(f"{found.plan.name}: pages of this plan are missing") from None
            delivery, waiting, may_be_more = found, [], True
    return delivery


async def _carry_out(delivery: Delivery, services: Services) -> Delivery:
    """Raises Conflict when somebody else carried out the plan meanwhile."""
    if delivery.plan is None:
        return delivery
    pages = await services.deliveries.pages(delivery.key, delivery.plan)
    await _write(delivery, delivery.plan, pages, services)
    return await services.deliveries.mark_delivered(delivery, pages)


async def _write(delivery: Delivery, plan: Plan, pages: Sequence[CommittedPage], services: Services) -> None:
    """What is there already, a delivery that was cut off wrote."""
    output = OUTPUT.validate_json(plan.output) if plan.output else DEFAULT_OUTPUTS[0]
    if isinstance(output, ServiceBusMessages):
        await send_pages(delivery.key, pages, output, services)
        return
    lines = [decompressed(page.lines) for page in pages]
    if isinstance(output, Custom):
        await write_custom(output, plan.name, b"".join(lines))
        return
    place = services.place(output.to)
    for name, data in objects_of(plan.name, output, lines):
        with contextlib.suppress(AlreadyExists):
            await place.write_once(name, data)


def next_plan(
    key: StreamKey, waiting: Sequence[CommittedPage], limits: BatchLimits, output: Output = DEFAULT_OUTPUTS[0]
) -> Plan:
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
    name = f"{first.run}-{first.slice}-{first.seq:06d}-{last.seq:06d}"
    if isinstance(output, JsonLines | Parquet):
        name = f"{folder(output, f'{first.mined_at:%Y-%m-%d}', key.user)}{name}{output.suffix}"
    return Plan(
        name=f"{key.pipeline}/{key.stream}/{name}",
        first=first.row_key,
        last=last.row_key,
        pages=len(batch),
        records=sum(page.records for page in batch),
        output="" if output == DEFAULT_OUTPUTS[0] else output.model_dump_json(by_alias=True),
    )


def _origin(page: CommittedPage) -> tuple[object, ...]:
    return page.run, page.slice, page.mined_at.date()


async def _come_back(
    wake_up: WakeUp, errors: Mapping[str, str], outputs: Mapping[str, Output], services: Services
) -> Outcome:
    """Later, under a new attempt. A conflict means that another delivery of the stream met the same outage: this one
    still comes back by itself, because the other may have looked before this one's pages were committed."""
    told = "; ".join(dict.fromkeys(errors.values()))
    while True:
        delivery = (await services.deliveries.read(wake_up.key)).among(outputs)
        wait = next_wait(ErrorKind.TEMPORARY, delivery.failures, None, services.random) or LONGEST_WAIT
        until = services.now() + timedelta(seconds=wait)
        failed = delivery.failed(until, ErrorKind.TEMPORARY, told[:LONGEST_ERROR], errors)
        try:
            written = await services.deliveries.write(failed)
        except Conflict:
            continue
        await services.send(wake_up.model_copy(update={"attempt": written.attempt}), at=until)
        return Outcome("postponed", error=told, seconds=round(wait, 1), failures=written.failures)

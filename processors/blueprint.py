"""Triggers of the processing layer: decode, call, return."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import azure.functions as func

from processors.compaction import compact as compact_outputs
from processors.dead_letters import Letter, handle
from processors.delivery import deliver as deliver_pages
from shared.log import invocation
from shared.services import services

blueprint = func.Blueprint()


def queue_trigger(of: func.Blueprint, queue: str) -> Callable[[Any], Any]:
    """Messages come as bytes: as text, a host would replace what is not UTF-8 and a broken message would be parked
    with other bytes than it had."""
    return of.service_bus_queue_trigger(
        arg_name="message", queue_name=queue, connection="SERVICE_BUS", data_type=func.DataType.BINARY
    )


def letter_of(message: func.ServiceBusMessage, queue: str) -> Letter:
    """The broker's reason arrives among the application properties; `dead_letter_reason` itself is always None. The
    time arrives without a zone and means UTC."""
    properties = message.application_properties or {}
    return Letter(
        queue=queue,
        body=message.get_body(),
        message_id=message.message_id or "",
        reason=str(properties.get("DeadLetterReason", "")),
        description=str(properties.get("DeadLetterErrorDescription", "")),
        enqueued_at=message.enqueued_time_utc and message.enqueued_time_utc.replace(tzinfo=UTC),
    )


@queue_trigger(blueprint, "%QUEUE_DELIVER%")
async def deliver(message: func.ServiceBusMessage) -> None:
    async with invocation("deliver") as log:
        ready = await services()
        log.outcome = await deliver_pages(letter_of(message, ready.settings.queue_deliver), ready)


@blueprint.timer_trigger(arg_name="timer", schedule="%COMPACT_CRON%", run_on_startup=False)
async def compact(timer: func.TimerRequest) -> None:
    async with invocation("compact") as log:
        log.outcome = await compact_outputs(await services())


@queue_trigger(blueprint, "%QUEUE_MINE_HIGH%/$deadletterqueue")
async def mine_high_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_mine_high")


@queue_trigger(blueprint, "%QUEUE_MINE%/$deadletterqueue")
async def mine_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_mine")


@queue_trigger(blueprint, "%QUEUE_MINE_LOW%/$deadletterqueue")
async def mine_low_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_mine_low")


@queue_trigger(blueprint, "%QUEUE_DELIVER%/$deadletterqueue")
async def deliver_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_deliver")


async def _dead_letter(message: func.ServiceBusMessage, queue: str) -> None:
    async with invocation("dead_letter") as log:
        ready = await services()
        log.outcome = await handle(letter_of(message, getattr(ready.settings, queue)), ready)

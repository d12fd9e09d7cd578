"""Triggers of the processing layer: decode, call, return."""

import azure.functions as func

from processors.dead_letters import Letter, handle
from processors.delivery import deliver as deliver_pages
from shared.log import invocation
from shared.services import services

blueprint = func.Blueprint()


def letter_of(message: func.ServiceBusMessage, queue: str) -> Letter:
    """The broker's reason arrives among the application properties; `dead_letter_reason` itself is always None."""
    properties = message.application_properties or {}
    return Letter(
        queue=queue,
        body=message.get_body(),
        message_id=message.message_id or "",
        reason=str(properties.get("DeadLetterReason", "")),
        description=str(properties.get("DeadLetterErrorDescription", "")),
    )


@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="%QUEUE_DELIVER%", connection="SERVICE_BUS")
async def deliver(message: func.ServiceBusMessage) -> None:
    async with invocation("deliver") as log:
        ready = await services()
        log.outcome = await deliver_pages(letter_of(message, ready.settings.queue_deliver), ready)


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name="%QUEUE_MINE_HIGH%/$deadletterqueue", connection="SERVICE_BUS"
)
async def mine_high_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_mine_high")


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name="%QUEUE_MINE%/$deadletterqueue", connection="SERVICE_BUS"
)
async def mine_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_mine")


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name="%QUEUE_MINE_LOW%/$deadletterqueue", connection="SERVICE_BUS"
)
async def mine_low_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_mine_low")


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name="%QUEUE_DELIVER%/$deadletterqueue", connection="SERVICE_BUS"
)
async def deliver_dead_letters(message: func.ServiceBusMessage) -> None:
    await _dead_letter(message, "queue_deliver")


async def _dead_letter(message: func.ServiceBusMessage, queue: str) -> None:
    async with invocation("dead_letter") as log:
        ready = await services()
        log.outcome = await handle(letter_of(message, getattr(ready.settings, queue)), ready)

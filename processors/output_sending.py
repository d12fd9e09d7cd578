"""Handing committed pages to others, at least once: to a queue or topic under ids that tell a page that comes again, or
to a class of somebody's under a name that does."""

import asyncio
import contextlib
from collections.abc import Sequence

from processors.output_messages import TooLarge, messages_of, too_large_name
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.parked_table import Parked
from shared.adapters.service_bus import Outgoing
from shared.errors import AlreadyExists, BrokerUnavailable, ErrorKind, OutputUnavailable
from shared.messages import StreamKey, WakeUp
from shared.pipeline.extensions import extension
from shared.pipeline.spec import Custom, ServiceBusMessages
from shared.services import Services

LONGEST_WRITE = 20
"""Seconds that a class has for a batch, less than the lock of the wake-up."""


async def send_pages(
    key: StreamKey, pages: Sequence[CommittedPage], output: ServiceBusMessages, services: Services
) -> None:
    """Returns when the broker has accepted all. Raises OutputUnavailable; some may have been accepted."""
    outgoing: list[Outgoing] = []
    for page in pages:
        for message in messages_of(key, page, output):
            if isinstance(message, TooLarge):
                await _keep(key, page, message, services)
            else:
                outgoing.append(message)
    if not outgoing:
        return
    try:
        await services.broker.send(outgoing)
    except BrokerUnavailable as error:
        raise OutputUnavailable(f"service bus output: {error}") from None


async def write_custom(output: Custom, name: str, lines: bytes) -> None:
    """Raises OutputUnavailable, whatever the class raises; of that only the kind is told, its words may hold data."""
    try:
        async with asyncio.timeout(LONGEST_WRITE):
            await extension("outputs", output).write(name, lines)
    except OutputUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a class of somebody's may raise anything
        raise OutputUnavailable(f"{output.class_name}: {type(error).__name__}") from None


async def _keep(key: StreamKey, page: CommittedPage, record: TooLarge, services: Services) -> None:
    """In the place that OUTPUT names, and shown to somebody. A replay of what is shown asks for a delivery."""
    name = too_large_name(key, record)
    with contextlib.suppress(AlreadyExists):  # a delivery that was cut off kept it
        await services.output.write_once(name, record.line)
    again = WakeUp(
        kind="deliver",
        pipeline=key.pipeline,
        stream=key.stream,
        user=key.user,
        run=page.run,
        slice=page.slice,
        seq=page.seq,
    )
    await services.parked.put(
        Parked(
            id=f"message/{record.message_id}",
            queue=services.settings.queue_deliver,
            body=again.encode(),
            reason=ErrorKind.REJECTED,
            error=f"found a record of {len(record.line)} bytes, which no message holds; it is kept as {name} in OUTPUT",
            parked_at=services.now(),
        )
    )

"""Sending committed pages to a queue or topic: at least once, under ids that tell a page that comes again."""

import contextlib
from collections.abc import Sequence

from processors.output_messages import TooLarge, messages_of, too_large_name
from shared.adapters.checkpoint_table import CommittedPage
from shared.adapters.parked_table import Parked
from shared.adapters.service_bus import Outgoing
from shared.errors import AlreadyExists, BrokerUnavailable, ErrorKind, OutputUnavailable
from shared.messages import StreamKey, WakeUp
from shared.pipeline.spec import ServiceBusMessages
from shared.services import Services


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

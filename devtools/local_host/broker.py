"""The Service Bus connection of the host: its clients, and whether the broker is there."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

from devtools.local_host.settings import Connection

log = logging.getLogger(__name__)

RETRIES_OF_THE_SDK = 1
"""The listeners do their own waiting; the SDK's would hold a start-up or a drain for half a minute."""


class Broker:
    """One namespace. Tells once when it goes away and once when all its listeners have it back."""

    def __init__(self, connection: Connection) -> None:
        self.setting = connection.setting
        self._closing: list[Callable[[], Awaitable[Any]]] = []
        self._client = self._connect(connection)
        self._missed_by: set[str] = set()

    @property
    def address(self) -> str:
        return self._client.fully_qualified_namespace

    def _connect(self, connection: Connection) -> ServiceBusClient:
        if connection.connection_string is not None:
            client = ServiceBusClient.from_connection_string(
                connection.connection_string, retry_total=RETRIES_OF_THE_SDK, retry_backoff_factor=0.1
            )
        else:
            # A connection string, the usual case here, spares the quarter of a second that this import takes.
            from azure.identity.aio import DefaultAzureCredential

            assert connection.namespace is not None
            credential = DefaultAzureCredential()
            self._closing.append(credential.close)
            client = ServiceBusClient(connection.namespace, credential, retry_total=RETRIES_OF_THE_SDK)
        self._closing.insert(0, client.close)
        return client

    def receiver(self, queue: str, dead_letters: bool, prefetch_count: int) -> ServiceBusReceiver:
        return self._client.get_queue_receiver(
            queue,
            sub_queue=ServiceBusSubQueue.DEAD_LETTER if dead_letters else None,
            prefetch_count=prefetch_count,
        )

    def went_away(self, listener: str, error: Exception) -> None:
        if not self._missed_by:
            log.error("Service Bus at %s is away (%s); trying again", self.address, type(error).__name__)
        self._missed_by.add(listener)

    def is_missed_by(self, listener: str) -> bool:
        """Whether it went away and that listener has not reached it since."""
        return listener in self._missed_by

    def is_there(self, listener: str) -> None:
        if listener in self._missed_by:
            self._missed_by.remove(listener)
            if not self._missed_by:
                log.info("Service Bus at %s is there again", self.address)

    async def close(self) -> None:
        for close in self._closing:
            await close()

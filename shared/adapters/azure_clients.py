"""The clients of one process, from connection strings or from a managed identity."""

from dataclasses import dataclass

from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from shared.adapters.azure_transport import open_transport
from shared.adapters.blob_container import BlobContainer
from shared.adapters.service_bus import ServiceBus
from shared.adapters.table_account import Tables
from shared.errors import InvalidSettings
from shared.settings import Settings


@dataclass(frozen=True)
class AzureClients:
    """Storage and Service Bus; one of each per process."""

    tables: Tables
    bus: ServiceBus
    blobs: BlobServiceClient
    identity: DefaultAzureCredential | None

    def container(self, name: str) -> BlobContainer:
        return BlobContainer(self.blobs, name)

    async def close(self) -> None:
        await self.bus.close()
        await self.blobs.close()
        await self.tables.close()
        if self.identity is not None:
            await self.identity.close()


def open_clients(settings: Settings) -> AzureClients:
    """Nothing is connected yet. Raises InvalidSettings for a connection string that is none; never shows it."""
    identity = None if settings.storage and settings.service_bus else DefaultAzureCredential()
    try:
        return AzureClients(_tables(settings, identity), _bus(settings, identity), _blobs(settings, identity), identity)
    except ValueError:
        raise InvalidSettings(
            "setting STORAGE or SERVICE_BUS: found a text that is no connection string, allowed: one as Azure shows it"
        ) from None


def _tables(settings: Settings, identity: DefaultAzureCredential | None) -> Tables:
    if settings.storage:
        return Tables.from_connection(settings.storage)
    return Tables.from_identity(settings.storage_tables or "", identity or DefaultAzureCredential())


def _bus(settings: Settings, identity: DefaultAzureCredential | None) -> ServiceBus:
    if settings.service_bus:
        return ServiceBus.from_connection(settings.service_bus)
    return ServiceBus.from_identity(settings.service_bus_namespace or "", identity or DefaultAzureCredential())


def _blobs(settings: Settings, identity: DefaultAzureCredential | None) -> BlobServiceClient:
    if settings.storage:
        return BlobServiceClient.from_connection_string(settings.storage, transport=open_transport())
    return BlobServiceClient(settings.storage_blobs or "", credential=identity, transport=open_transport())

"""The account of the tables: one client per table, all over one pool of connections."""

from types import TracebackType

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient

from shared.adapters.azure_tables import AzureTable, translated
from shared.adapters.azure_transport import open_transport
from shared.adapters.lean_table import LeanTable, Wire, open_wire


class Tables:
    """A key or an identity opens it; with a shared access signature, all calls are those of `azure-data-tables`."""

    def __init__(self, service: TableServiceClient, wire: Wire | None = None):
        self._service = service
        self._wire = wire

    @classmethod
    def from_connection(cls, connection: str) -> "Tables":
        service = TableServiceClient.from_connection_string(connection, transport=open_transport())
        key = service.credential
        return cls(service, open_wire(service.url, key) if isinstance(key, AzureNamedKeyCredential) else None)

    @classmethod
    def from_identity(cls, endpoint: str, credential: AsyncTokenCredential) -> "Tables":
        service = TableServiceClient(endpoint, credential=credential, transport=open_transport())
        return cls(service, open_wire(service.url, credential))

    async def open(self, name: str) -> AzureTable:
        """The table, created if it is not there yet."""
        async with translated():
            await self._service.create_table_if_not_exists(name)
        client = self._service.get_table_client(name)
        return AzureTable(client) if self._wire is None else LeanTable(client, self._wire, self._service.url)

    async def close(self) -> None:
        await self._service.close()
        if self._wire is not None:
            await self._wire.close()

    async def __aenter__(self) -> "Tables":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

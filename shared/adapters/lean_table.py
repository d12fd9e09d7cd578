"""A table whose everyday calls are made by hand (see table_wire.py), and the rest through `azure-data-tables`."""

from collections.abc import Sequence
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy, UserAgentPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.data.tables.aio import TableClient

from shared.adapters import table_wire
from shared.adapters.azure_tables import AzureTable, known_etag, translation
from shared.adapters.azure_transport import open_transport
from shared.adapters.table_wire import Refusal, SharedKeyPolicy
from shared.adapters.tables import MAX_OPERATIONS, Delete, Operation, Replace, Row, check_limits
from shared.errors import StorageUnavailable, TooLarge

SCOPE = "https://storage.azure.com/.default"
RETRIES = 3
Wire = AsyncPipelineClient[HttpRequest, AsyncHttpResponse]


def open_wire(account: str, credential: AzureNamedKeyCredential | AsyncTokenCredential) -> Wire:
    """Connections to the account, as its key or an identity opens them."""
    if isinstance(credential, AzureNamedKeyCredential):
        signing: Any = SharedKeyPolicy(credential)
    else:
        signing = AsyncBearerTokenCredentialPolicy(credential, SCOPE)
    retry = AsyncRetryPolicy(retry_total=RETRIES, retry_backoff_factor=0.3)
    policies = [UserAgentPolicy("headframe"), retry, signing]
    return AsyncPipelineClient(account, policies=policies, transport=open_transport())


class LeanTable(AzureTable):
    """A Table; what it promises and raises is what AzureTable does."""

    def __init__(self, client: TableClient, wire: Wire, account: str):
        super().__init__(client)
        self._wire, self._account, self._name = wire, account.rstrip("/"), client.table_name

    async def get(self, partition: str, key: str) -> Row | None:
        response = await self._send(table_wire.get(self._name, Row(partition, key)))
        if response.status_code == 404 and _code(response) != "TableNotFound":
            return None
        return table_wire.row_of(_checked(response).json())

    async def insert(self, row: Row) -> str:
        check_limits([row])
        return _etag(_checked(await self._send(table_wire.insert(self._name, row))))

    async def replace(self, row: Row) -> str:
        check_limits([row])
        known_etag(row)
        return _etag(_checked(await self._send(table_wire.replacement(self._name, row))))

    async def put(self, row: Row) -> str:
        check_limits([row])
        return _etag(_checked(await self._send(table_wire.put(self._name, row))))

    async def delete(self, row: Row) -> None:
        response = await self._send(table_wire.deletion(self._name, row))
        if response.status_code != 404 or _code(response) == "TableNotFound":
            _checked(response)

    async def transact(self, operations: Sequence[Operation]) -> list[str | None]:
        if len(operations) > MAX_OPERATIONS:
            raise TooLarge(f"a transaction of {len(operations)} rows is over the {MAX_OPERATIONS} of Table Storage")
        check_limits(operation.row for operation in operations if not isinstance(operation, Delete))
        for operation in operations:
            if isinstance(operation, Replace):
                known_etag(operation.row)
        response = _checked(await self._send(table_wire.transaction(self._account, self._name, operations)))
        try:
            return table_wire.etags(response.content, len(operations))
        except Refusal as refusal:
            raise translation(refusal.status, refusal.code) from None

    async def range(
        self, partition: str, first: str, last: str, limit: int, select: Sequence[str] | None = None
    ) -> list[Row]:
        rows: list[Row] = []
        more: dict[str, str] = {}
        while True:
            asked = table_wire.query(self._name, partition, first, last, limit - len(rows), select, more)
            response = _checked(await self._send(asked))
            rows += map(table_wire.row_of, response.json()["value"])
            more = _continuation(response)
            if not more or len(rows) >= limit:
                return rows[:limit]

    async def _send(self, request: HttpRequest) -> AsyncHttpResponse:
        """Raises StorageUnavailable where no answer came."""
        request.url = f"{self._account}/{request.url}"
        try:
            return await self._wire.send_request(request)
        except AzureError as error:
            raise StorageUnavailable(f"table storage: {type(error).__name__}") from None


def _checked(response: AsyncHttpResponse) -> AsyncHttpResponse:
    if response.status_code >= 400:
        raise translation(response.status_code, _code(response))
    return response


def _code(response: AsyncHttpResponse) -> str:
    return table_wire.error_code(response.text())


def _etag(response: AsyncHttpResponse) -> str:
    return str(response.headers["ETag"])


def _continuation(response: AsyncHttpResponse) -> dict[str, str]:
    """Where the answer broke off, as the next request says it."""
    names = ("NextPartitionKey", "NextRowKey")
    told = {name: response.headers.get(f"x-ms-continuation-{name}") for name in names}
    return {name: value for name, value in told.items() if value}

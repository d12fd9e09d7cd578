"""Answers of table storage that Azurite does not give, and what they mean to whoever asked."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableServiceClient

from shared.adapters.azure_tables import AzureTable
from shared.adapters.tables import Insert, Replace, Row
from shared.errors import AlreadyExists, Conflict, StorageUnavailable
from tests.unit.shared.adapters.conftest import HttpSource

ROW = Row("p", "k", {"n": 1}, 'W/"1"')
Call = Callable[[AzureTable], Awaitable[object]]
READS: dict[str, Call] = {
    "get": lambda table: table.get("p", "k"),
    "range": lambda table: table.range("p", "a", "z", 10),
}
WRITES: dict[str, Call] = {
    "insert": lambda table: table.insert(ROW),
    "replace": lambda table: table.replace(ROW),
    "put": lambda table: table.put(ROW),
    "delete": lambda table: table.delete(ROW),
}
TRANSACTION: dict[str, Call] = {"transact": lambda table: table.transact([Replace(ROW), Insert(Row("p", "l"))])}
ALL = READS | WRITES | TRANSACTION
AWAY = [(429, "TooManyRequests"), (500, "InternalError"), (500, "OperationTimedOut"), (503, "ServerBusy")]


@pytest.fixture
async def table(http_source: HttpSource) -> AsyncIterator[AzureTable]:
    credential = AzureNamedKeyCredential("account", "a2V5")
    async with TableServiceClient(http_source.base, credential=credential, retry_total=0) as service:
        yield AzureTable(service.get_table_client("streams"))


def answering(http_source: HttpSource, status: int, code: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        error = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "no"}}}
        return web.json_response(error, status=status, headers={"x-ms-error-code": code})

    for path in ("/streams", "/streams()", "/$batch", "/streams(PartitionKey='p',RowKey='k')"):
        http_source.answers[path] = answer


@pytest.mark.parametrize(("status", "code"), AWAY)
@pytest.mark.parametrize("call", ALL)
async def test_a_storage_that_is_busy_or_fails_is_away(
    http_source: HttpSource, table: AzureTable, call: str, status: int, code: str
):
    """Whether a write happened is not known then; whoever asked looks again later."""
    answering(http_source, status, code)
    with pytest.raises(StorageUnavailable, match="table storage"):
        await ALL[call](table)


@pytest.mark.parametrize("call", ALL)
async def test_a_connection_that_breaks_is_a_storage_that_is_away(
    http_source: HttpSource, table: AzureTable, call: str
):
    for path in ("/streams", "/streams()", "/$batch", "/streams(PartitionKey='p',RowKey='k')"):
        http_source.raw[path] = [b"HTTP/1.1 20"]
    with pytest.raises(StorageUnavailable, match="table storage"):
        await ALL[call](table)


@pytest.mark.parametrize("call", ["insert", "transact"])
async def test_a_row_that_is_there_is_there_already(http_source: HttpSource, table: AzureTable, call: str):
    answering(http_source, 409, "EntityAlreadyExists")
    with pytest.raises(AlreadyExists):
        await ALL[call](table)


@pytest.mark.parametrize("call", ["replace", "delete", "transact"])
async def test_a_row_that_has_changed_is_a_conflict(http_source: HttpSource, table: AzureTable, call: str):
    answering(http_source, 412, "UpdateConditionNotSatisfied")
    with pytest.raises(Conflict):
        await ALL[call](table)


@pytest.mark.parametrize("call", sorted(ALL.keys() - {"delete"}))  # whose row is gone either way
@pytest.mark.parametrize(("status", "code"), [(404, "TableNotFound"), (409, "TableBeingDeleted")])
async def test_a_table_that_is_not_there_is_no_row_that_is_not_there(
    http_source: HttpSource, table: AzureTable, call: str, status: int, code: str
):
    """Taken for a row, a wake-up would be dropped because nobody seems to wait for it."""
    answering(http_source, status, code)
    with pytest.raises(StorageUnavailable, match=code):
        await ALL[call](table)

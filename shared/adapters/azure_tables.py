"""Azure Table Storage through `azure-data-tables`, in our words and with our errors."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.data.tables import EdmType, EntityProperty, UpdateMode
from azure.data.tables.aio import TableClient

from shared.adapters.tables import MAX_OPERATIONS, Delete, Insert, Operation, Replace, Row, Value, check_limits
from shared.errors import AlreadyExists, Conflict, StorageError, StorageUnavailable, TooLarge

CODE_IN_BODY = re.compile(r'"odata\.error"\s*:\s*\{\s*"code"\s*:\s*"(\w+)"')
INT32 = range(-(2**31), 2**31)


class AzureTable:
    """A Table over `azure-data-tables`."""

    def __init__(self, client: TableClient):
        self._client = client

    async def get(self, partition: str, key: str) -> Row | None:
        async with translated():
            try:
                return _to_row(await self._client.get_entity(partition, key))
            except ResourceNotFoundError as error:
                if _is_no_table(_code(error)):
                    raise
                return None

    async def insert(self, row: Row) -> str:
        check_limits([row])
        async with translated():
            return _etag(await self._client.create_entity(_to_entity(row)))

    async def replace(self, row: Row) -> str:
        check_limits([row])
        async with translated():
            return _etag(
                await self._client.update_entity(
                    _to_entity(row),
                    mode=UpdateMode.REPLACE,
                    etag=known_etag(row),
                    match_condition=MatchConditions.IfNotModified,
                )
            )

    async def put(self, row: Row) -> str:
        check_limits([row])
        async with translated():
            return _etag(await self._client.upsert_entity(_to_entity(row), mode=UpdateMode.REPLACE))

    async def delete(self, row: Row) -> None:
        condition = MatchConditions.IfNotModified if row.etag else None
        async with translated():
            await self._client.delete_entity(row.partition, row.key, etag=row.etag, match_condition=condition)

    async def transact(self, operations: Sequence[Operation]) -> list[str | None]:
        if len(operations) > MAX_OPERATIONS:
            raise TooLarge(f"a transaction of {len(operations)} rows is over the {MAX_OPERATIONS} of Table Storage")
        check_limits(operation.row for operation in operations if not isinstance(operation, Delete))
        async with translated():
            results = await self._client.submit_transaction([_to_operation(each) for each in operations])
        return [result.get("etag") for result in results]

    async def range(
        self, partition: str, first: str, last: str, limit: int, select: Sequence[str] | None = None
    ) -> list[Row]:
        where = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last"
        parameters = {"partition": partition, "first": first, "last": last}
        columns = ["PartitionKey", "RowKey", *select] if select is not None else None
        rows: list[Row] = []
        async with translated():
            found = self._client.query_entities(
                where, parameters=parameters, results_per_page=min(limit, 1000), select=columns
            )
            async for entity in found:
                rows.append(_to_row(entity))
                if len(rows) >= limit:
                    break
        return rows

    async def scan(
        self, *, key: str | None = None, partition: str | None = None, after: str | None = None
    ) -> AsyncIterator[Row]:
        wanted = {
            "RowKey eq @key": key,
            "PartitionKey eq @partition": partition,
            "PartitionKey gt @after": after,
        }
        where = " and ".join(term for term, value in wanted.items() if value is not None)
        terms = {term.partition("@")[2]: value for term, value in wanted.items() if value is not None}
        async with translated():
            found = self._client.query_entities(where, parameters=terms) if where else self._client.list_entities()
            async for entity in found:
                yield _to_row(entity)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    try:
        yield
    except HttpResponseError as error:
        raise translation(error.status_code, _code(error)) from None
    except AzureError as error:
        raise StorageUnavailable(f"table storage: {type(error).__name__}") from None


def translation(status: int | None, code: str) -> StorageError:
    """Our error for what the service said, in its own words."""
    if _is_no_table(code):
        return StorageUnavailable(f"table storage: {code}")
    if status == 409 or code.endswith("EntityAlreadyExists"):
        return AlreadyExists("the row is there already")
    if status in {404, 412}:
        return Conflict("the row was changed or removed since it was read")
    if status == 413 or code.endswith(("RequestBodyTooLarge", "EntityTooLarge", "PropertyValueTooLarge")):
        return TooLarge(f"table storage: {code or status}")
    return StorageUnavailable(f"table storage: {code or status}")


def _is_no_table(code: str) -> bool:
    """Whether it is the table that is missing, which says nothing about a row."""
    return code.endswith(("TableNotFound", "TableBeingDeleted"))


def _code(error: HttpResponseError) -> str:
    """The service's own name of the error; for an insert, the SDK leaves it in the body."""
    code = getattr(error, "error_code", None)
    if code is not None or error.response is None:
        return str(getattr(code, "value", code) or "")
    told = CODE_IN_BODY.search(error.response.text())
    return told[1] if told else ""


def known_etag(row: Row) -> str:
    if row.etag is None:
        raise Conflict(f"{row.key}: a row that was never read can't be replaced")
    return row.etag


def _to_operation(operation: Operation) -> Any:
    match operation:
        case Insert(row):
            return ("create", _to_entity(row))
        case Replace(row):
            return (
                "update",
                _to_entity(row),
                {"mode": "replace", "etag": known_etag(row), "match_condition": MatchConditions.IfNotModified},
            )
        case Delete(row):
            return ("delete", {"PartitionKey": row.partition, "RowKey": row.key})


def _to_entity(row: Row) -> dict[str, Any]:
    values = {name: _to_property(value) for name, value in row.values.items()}
    return {"PartitionKey": row.partition, "RowKey": row.key, **values}


def _to_property(value: Value) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value not in INT32:
        return EntityProperty(value, EdmType.INT64)
    return value


def _to_row(entity: Any) -> Row:
    values = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in entity.items()
        if name not in {"PartitionKey", "RowKey"}
    }
    return Row(entity["PartitionKey"], entity["RowKey"], values, str(entity.metadata["etag"]))


def _etag(result: Any) -> str:
    return str(result["etag"])

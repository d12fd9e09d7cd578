"""Table Storage's own words on the wire: entities as JSON, conditions as headers, transactions as multipart bodies.

The calls that every page pays for go this way, because building and reading them by hand costs a fraction of what
`azure-data-tables` takes for it. What the SDKs are good at stays theirs: pipeline, retries, connections and identity
are those of azure-core. Source:
https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.rest import HttpRequest
from yarl import URL

from shared.adapters.tables import Delete, Insert, Operation, Replace, Row, Value

VERSION = "2019-02-02"
INT32 = range(-(2**31), 2**31)
HEADERS = {
    "Accept": "application/json;odata=minimalmetadata",
    "Content-Type": "application/json",
    "DataServiceVersion": "3.0",
    "x-ms-version": VERSION,
}
BATCH, CHANGES = "batch_headframe", "changeset_headframe"
"""Boundaries: of what stands between them, JSON has no line that begins with dashes."""

PART = re.compile(rb"HTTP/1\.1 (\d{3})[^\r\n]*\r\n(.*?)\r\n\r\n", re.DOTALL)
PART_ETAG = re.compile(rb"^ETag: ([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
ERROR_CODE = re.compile(r'"code"\s*:\s*"(?:\d+:)?(\w+)')


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """The service said no; `code` is its own name for why."""

    status: int
    code: str


class SharedKeyPolicy(SansIOHTTPPolicy[Any, Any]):
    """Signs requests with the account's key, in the form of Shared Key Lite: the path as aiohttp will send it."""

    def __init__(self, credential: AzureNamedKeyCredential):
        self._credential = credential

    def on_request(self, request: PipelineRequest[Any]) -> None:
        name, key = self._credential.named_key
        moment = format_datetime(datetime.now(UTC), usegmt=True)
        text = f"{moment}\n/{name}{URL(request.http_request.url).raw_path}"
        signature = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
        headers = {"x-ms-date": moment, "Authorization": f"SharedKeyLite {name}:{base64.b64encode(signature).decode()}"}
        request.http_request.headers.update(headers)


def address(table: str, row: Row) -> str:
    """The path of a row, behind the account's URL."""
    return f"{table}(PartitionKey='{_quoted(row.partition)}',RowKey='{_quoted(row.key)}')"


def get(table: str, row: Row) -> HttpRequest:
    return HttpRequest("GET", address(table, row), headers=HEADERS)


def insert(table: str, row: Row) -> HttpRequest:
    return HttpRequest("POST", table, headers=HEADERS | {"Prefer": "return-no-content"}, content=entity(row))


def replacement(table: str, row: Row) -> HttpRequest:
    headers = HEADERS | {"If-Match": row.etag or "*"}
    return HttpRequest("PUT", address(table, row), headers=headers, content=entity(row))


def put(table: str, row: Row) -> HttpRequest:
    return HttpRequest("PUT", address(table, row), headers=HEADERS, content=entity(row))


def deletion(table: str, row: Row) -> HttpRequest:
    return HttpRequest("DELETE", address(table, row), headers=HEADERS | {"If-Match": row.etag or "*"})


def query(
    table: str, partition: str, first: str, last: str, limit: int, select: Sequence[str] | None, more: Mapping[str, str]
) -> HttpRequest:
    """Rows of a partition from key `first` up to `last`; `more` is where an earlier answer broke off."""
    terms = (("PartitionKey eq", partition), ("RowKey ge", first), ("RowKey lt", last))
    wanted = " and ".join(f"{term} '{_doubled(value)}'" for term, value in terms)
    parameters = {"$filter": wanted, "$top": str(min(limit, 1000)), **more}
    if select is not None:
        parameters["$select"] = ",".join(["PartitionKey", "RowKey", *select])
    text = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in parameters.items())
    return HttpRequest("GET", f"{table}()?{text}", headers=HEADERS)


def transaction(account: str, table: str, operations: Sequence[Operation]) -> HttpRequest:
    """All of them or none. `account` is the URL in front of the table's name."""
    parts = [_part(account, table, operation) for operation in operations]
    changes = b"".join(b"--" + CHANGES.encode() + b"\r\n" + part for part in parts)
    head = f"--{BATCH}\r\nContent-Type: multipart/mixed; boundary={CHANGES}\r\n\r\n".encode()
    tail = f"--{CHANGES}--\r\n--{BATCH}--\r\n".encode()
    headers = HEADERS | {"Content-Type": f"multipart/mixed; boundary={BATCH}"}
    return HttpRequest("POST", "$batch", headers=headers, content=head + changes + tail)


def etags(body: bytes, count: int) -> list[str | None]:
    """The new versions by operation, None for what was deleted. Raises Refusal for a transaction that was refused."""
    found = PART.findall(body)
    refused = next((int(status) for status, _ in found if int(status) >= 400), None)
    if refused is not None or len(found) != count:
        raise Refusal(refused or 500, error_code(body.decode("utf-8", "replace")))
    versions = (PART_ETAG.search(headers) for _, headers in found)
    return [match[1].decode().strip() if match else None for match in versions]


def error_code(text: str) -> str:
    told = ERROR_CODE.search(text)
    return told[1] if told else ""


def entity(row: Row) -> bytes:
    properties: dict[str, Any] = {"PartitionKey": row.partition, "RowKey": row.key}
    for name, value in row.values.items():
        kind, properties[name] = _written(value)
        if kind:
            properties[f"{name}@odata.type"] = kind
    return json.dumps(properties, separators=(",", ":")).encode("ascii")


def row_of(found: Mapping[str, Any]) -> Row:
    """The row of an entity as the service writes it."""
    values = {
        name: _read(found.get(f"{name}@odata.type"), value)
        for name, value in found.items()
        if name not in {"PartitionKey", "RowKey", "Timestamp"} and "odata." not in name
    }
    return Row(found["PartitionKey"], found["RowKey"], values, found["odata.etag"])


def _written(value: Value) -> tuple[str, Any]:
    """Type, where JSON does not say it, and value."""
    match value:
        case bool() | str():
            return "", value
        case int():
            return ("", value) if value in INT32 else ("Edm.Int64", str(value))
        case float():
            return "Edm.Double", value
        case bytes():
            return "Edm.Binary", base64.b64encode(value).decode()
        case datetime():
            return "Edm.DateTime", value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(kind: str | None, value: Any) -> Value:
    match kind:
        case "Edm.Int64":
            return int(value)
        case "Edm.Binary":
            return base64.b64decode(value)
        case "Edm.DateTime":
            return datetime.fromisoformat(value).astimezone(UTC)
        case _:
            known: Value = value
            return known


def _part(account: str, table: str, operation: Operation) -> bytes:
    row, condition, body = operation.row, "", b""
    match operation:
        case Insert():
            request, body = f"POST {account}/{table}", entity(row)
            condition = "Prefer: return-no-content\r\n"
        case Replace():
            request, body = f"PUT {account}/{address(table, row)}", entity(row)
            condition = f"If-Match: {row.etag}\r\n"
        case Delete():
            request, condition = f"DELETE {account}/{address(table, row)}", "If-Match: *\r\n"
    lines = (
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"{request} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\nContent-Type: application/json\r\n"
        f"{condition}Content-Length: {len(body)}\r\n\r\n"
    )
    return lines.encode("ascii") + body + b"\r\n"


def _doubled(text: str) -> str:
    return text.replace("'", "''")


def _quoted(text: str) -> str:
    return quote(_doubled(text), safe="")

"""Answers of blob storage that Azurite does not give."""

import pytest
from aiohttp import web
from azure.storage.blob.aio import BlobServiceClient

from shared.adapters.blob_container import BlobContainer
from shared.errors import AlreadyExists, OutputUnavailable
from tests.unit.shared.adapters.conftest import HttpSource


async def written(http_source: HttpSource, status: int, code: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"x-ms-error-code": code})

    http_source.answers["/output/a/b.jsonl"] = answer
    async with BlobServiceClient(http_source.base, retry_total=0) as service:
        await BlobContainer(service, "output").write_once("a/b.jsonl", b"data")


async def test_a_name_that_is_taken_is_there_already(http_source: HttpSource):
    with pytest.raises(AlreadyExists, match=r"a/b\.jsonl is there already"):
        await written(http_source, 409, "BlobAlreadyExists")


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "ContainerBeingDeleted"), (409, "BlobBeingRehydrated"), (403, "AuthorizationFailure"), (503, "ServerBusy")],
)
async def test_any_other_refusal_wrote_nothing(http_source: HttpSource, status: int, code: str):
    """Taking a 409 for «written» would lose the pages: delivery forgets what is written."""
    with pytest.raises(OutputUnavailable, match=f"blob storage: {code}"):
        await written(http_source, status, code)

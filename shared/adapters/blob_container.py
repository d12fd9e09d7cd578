"""Objects as block blobs of an Azure container."""

import contextlib
from collections.abc import AsyncIterator

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from shared.adapters.objects import Found
from shared.errors import AlreadyExists, OutputUnavailable


class BlobContainer:
    """An ObjectStore over `azure-storage-blob`; the container is made at the first write."""

    def __init__(self, service: BlobServiceClient, container: str):
        self._client: ContainerClient = service.get_container_client(container)

    async def write_once(self, name: str, data: bytes) -> None:
        try:
            await self._upload(name, data)
        except AzureError as error:
            if _reason(error) == "BlobAlreadyExists":  # other conflicts, as a container being deleted, wrote nothing
                raise AlreadyExists(f"{name} is there already") from None
            raise OutputUnavailable(f"blob storage: {_reason(error)}") from None

    async def read(self, name: str) -> bytes | None:
        try:
            download = await self._client.download_blob(name)
            return await download.readall()
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise OutputUnavailable(f"blob storage: {_reason(error)}") from None

    async def delete(self, name: str) -> None:
        try:
            await self._client.delete_blob(name)
        except ResourceNotFoundError:
            pass
        except AzureError as error:
            raise OutputUnavailable(f"blob storage: {_reason(error)}") from None

    async def list(self, prefix: str) -> AsyncIterator[Found]:
        try:
            async for blob in self._client.list_blobs(name_starts_with=prefix):
                yield Found(blob.name, blob.size, blob.last_modified)
        except ResourceNotFoundError:  # the container is made at the first write
            return
        except AzureError as error:
            raise OutputUnavailable(f"blob storage: {_reason(error)}") from None

    async def _upload(self, name: str, data: bytes) -> None:
        try:
            await self._client.upload_blob(name, data, overwrite=False)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await self._client.create_container()
            await self._client.upload_blob(name, data, overwrite=False)


def _reason(error: AzureError) -> str:
    code = getattr(getattr(error, "error_code", None), "value", None) or getattr(error, "error_code", None)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return str(code or status or type(error).__name__)

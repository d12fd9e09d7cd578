"""What an ObjectStore promises, on the fakes, in a local folder and in a blob container of Azurite."""

import asyncio
import gzip
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient

from processors.formats import folder, objects_of
from shared.adapters.blob_container import BlobContainer
from shared.adapters.local_folder import LocalFolder
from shared.adapters.objects import ObjectStore
from shared.errors import AlreadyExists, OutputUnavailable
from shared.pipeline.spec import JsonLines
from tests.fakes.memory_objects import MemoryObjects
from tests.simulation.history import WatchedObjects
from tests.simulation.processes import FineWeather, Port, Process

pytestmark = pytest.mark.stand_ins

NAME = "social/posts/date=2026-11-22/20261122T120000Z-0c666c357097342c-all-000000-000004.jsonl"


@pytest.fixture(params=["memory", "simulated", "folder", "azurite"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryObjects()
    elif request.param == "simulated":
        yield Port(WatchedObjects(), "output", Process("p"), FineWeather())
    elif request.param == "folder":
        yield LocalFolder(tmp_path / "made" / "when needed")
    else:
        async with BlobServiceClient.from_connection_string(request.getfixturevalue("storage")) as service:
            yield BlobContainer(service, f"contract-{secrets.token_hex(8)}")


@pytest.mark.parametrize("data", [b"", b"{}\n", bytes(range(256)), b"x" * 6_000_000], ids=len)
async def test_what_was_written_is_read(objects: ObjectStore, data: bytes):
    await objects.write_once(NAME, data)
    assert await objects.read(NAME) == data


@pytest.mark.parametrize(
    "value", ["a/b", "..", "x" * 500, "ü ~%.", "__null__", None, 2**70], ids=lambda value: str(value)[:9]
)
async def test_an_object_of_any_partition_is_written_once_and_read(objects: ObjectStore, value: object):
    output = JsonLines(type="json_lines", compression="gzip", partition_by=("record.place", "user"))
    line = json.dumps({"place": value}).encode() + b"\n"
    ((name, data),) = objects_of(f"social/posts/{folder(output, '', 'ann')}name.jsonl.gz", output, [line])
    await objects.write_once(name, data)
    with pytest.raises(AlreadyExists):
        await objects.write_once(name, data)
    found = await objects.read(name)
    assert found is not None
    assert gzip.decompress(found) == line


async def test_what_is_not_there_is_nothing(objects: ObjectStore):
    assert await objects.read(NAME) is None
    await objects.write_once(NAME, b"x")
    assert await objects.read(NAME + "x") is None


async def test_a_name_is_written_once_and_the_first_content_stays(objects: ObjectStore):
    await objects.write_once(NAME, b"first")
    for data in (b"second", b"first"):
        with pytest.raises(AlreadyExists):
            await objects.write_once(NAME, data)
    assert await objects.read(NAME) == b"first"


async def test_of_many_writers_of_one_name_exactly_one_wins(objects: ObjectStore):
    """Also when the folder or the container has to be made first."""
    contents = [f"writer {number}".encode() * 10_000 for number in range(8)]
    results = await asyncio.gather(*(objects.write_once(NAME, data) for data in contents), return_exceptions=True)
    won = [number for number, result in enumerate(results) if result is None]
    assert len(won) == 1
    assert all(isinstance(result, AlreadyExists) for result in results if result is not None)
    assert await objects.read(NAME) == contents[won[0]]


async def test_many_names_at_once_do_not_meet(objects: ObjectStore):
    names = [f"a/b{number % 3}/{number}.jsonl" for number in range(20)]
    await asyncio.gather(*(objects.write_once(name, name.encode()) for name in names))
    assert [await objects.read(name) for name in names] == [name.encode() for name in names]


async def test_deleting_twice_is_deleting_once(objects: ObjectStore):
    await objects.delete(NAME)
    await objects.write_once(NAME, b"x")
    await objects.delete(NAME)
    await objects.delete(NAME)
    assert await objects.read(NAME) is None
    await objects.write_once(NAME, b"again")
    assert await objects.read(NAME) == b"again"


async def test_objects_are_listed_by_name_with_size_and_time(objects: ObjectStore):
    """Those below the prefix, and nothing where nothing was ever written."""
    assert [each async for each in objects.list("")] == []
    before = datetime.now(UTC)
    for name in ("b/x.jsonl", "a/c/y.jsonl", "a/_merged/1.json", "a/b.jsonl", "a/merged-1.jsonl", "a1/z.jsonl"):
        await objects.write_once(name, name.encode())
    found = [each async for each in objects.list("a/")]
    assert [each.name for each in found] == ["a/_merged/1.json", "a/b.jsonl", "a/c/y.jsonl", "a/merged-1.jsonl"]
    assert [each.size for each in found] == [len(each.name) for each in found]
    assert all(abs(each.modified - before) < timedelta(minutes=1) for each in found)
    assert len([each async for each in objects.list("")]) == 6


# What only a folder can meet


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("blocked", ["", "social", "social/posts", "social/posts/date=2026-11-22"])
async def test_a_file_where_a_folder_should_be_is_an_output_that_is_away(tmp_path: Path, blocked: str):
    """Taking it for «written already» would lose the pages."""
    output = tmp_path / "output"
    (output / blocked).parent.mkdir(parents=True, exist_ok=True)
    (output / blocked).write_bytes(b"in the way")
    folder = LocalFolder(output)
    with pytest.raises(OutputUnavailable, match=r"(Not a directory|File exists)$"):
        await folder.write_once(NAME, b"x")
    with pytest.raises(OutputUnavailable):
        await folder.read(NAME)
    with pytest.raises(OutputUnavailable):
        await folder.delete(NAME)


async def test_a_folder_holds_nothing_but_whole_objects(tmp_path: Path):
    """Drafts are gone, also those of writers that lost."""
    folder = LocalFolder(tmp_path)
    await asyncio.gather(*(folder.write_once(NAME, b"x" * 100_000) for _ in range(8)), return_exceptions=True)
    assert files_in(tmp_path) == [NAME]


async def test_a_blob_storage_that_is_not_there_is_an_output_that_is_away():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with BlobServiceClient(f"http://127.0.0.1:{port}/account", retry_total=0) as service:
        container = BlobContainer(service, "output")
        for call in (container.write_once(NAME, b"x"), container.read(NAME), container.delete(NAME)):
            with pytest.raises(OutputUnavailable, match="blob storage: ServiceRequestError"):
                await call

"""The stand-ins that integration tests share: one of each per test run, on free ports, stopped at the end."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import NoReturn

import pytest

from devtools.stand_ins import azurite, service_bus, stack
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.supervisor import Kind, ensure, stop
from shared.adapters.table_account import Tables
from shared.adapters.tables import Table
from shared.errors import BadInput
from tests.fakes.memory_tables import MemoryTable


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    with DataFolder.opened(tmp_path_factory.mktemp("stand_ins")) as folder:
        yield folder


@pytest.fixture(scope="session")
def storage(data_folder: DataFolder) -> Iterator[str]:
    """Connection string of an Azurite; tests share it, so each takes table and container names of its own."""
    try:
        ports = ensure(data_folder, stack.azurite_kind(data_folder, print), None, print)
    except BadInput as missing:
        _skip_unless_in_ci(missing)
    yield azurite.connection_string(ports)
    stop(data_folder, azurite.NAME, print)


@pytest.fixture(scope="session")
def broker(data_folder: DataFolder) -> Iterator[str]:
    """Connection string of a Service Bus emulator with the queues of the app."""
    kind: Kind = stack.service_bus_kind(data_folder)
    try:
        ports = ensure(data_folder, kind, None, print)
    except BadInput as missing:
        _skip_unless_in_ci(missing)
    yield service_bus.connection_string(ports)
    stop(data_folder, service_bus.NAME, print)


@pytest.fixture(params=["memory", "azurite"])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    """An empty table of its own."""
    if request.param == "memory":
        yield MemoryTable()
        return
    async with Tables.from_connection(request.getfixturevalue("storage")) as tables:
        yield await tables.open(f"contract{secrets.token_hex(8)}")


def _skip_unless_in_ci(missing: BadInput) -> NoReturn:
    """At home, for example without a network, the rest of the suite is still worth running."""
    if os.environ.get("CI"):
        raise missing
    pytest.skip(str(missing))

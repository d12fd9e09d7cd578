"""Azurite itself, as a later start meets it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from devtools.stand_ins import azurite
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import accepts
from devtools.stand_ins.stack import azurite_kind
from devtools.stand_ins.supervisor import ensure, stop

pytestmark = [
    pytest.mark.stand_ins,
    pytest.mark.usefixtures("storage"),
]  # `storage` has installed it, or skips

START_AND_WAIT = """
import sys
from pathlib import Path
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.stack import azurite_kind
from devtools.stand_ins.supervisor import ensure
with DataFolder.opened(Path(sys.argv[1])) as folder:
    print(ensure(folder, azurite_kind(folder, print), None, print)["table"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    with DataFolder.opened(tmp_path) as folder:
        stop(folder, azurite.NAME, print)


def _insert(folder: DataFolder, row: str) -> None:
    with TableServiceClient.from_connection_string(_connection(folder)) as service:
        service.create_table_if_not_exists("rows").create_entity({"PartitionKey": "p", "RowKey": row})


def _rows(folder: DataFolder) -> set[str]:
    with TableServiceClient.from_connection_string(_connection(folder)) as service:
        return {row["RowKey"] for row in service.get_table_client("rows").list_entities()}


def _connection(folder: DataFolder) -> str:
    return azurite.connection_string(folder.recorded()[azurite.NAME].ports)


def test_azurite_is_found_again_after_its_starter_was_killed(data: Path):
    """SIGKILL for the starter's whole process group, as a killed `headframe mine` meets it."""
    starter = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        os.killpg(starter.pid, signal.SIGKILL)
    with DataFolder.opened(data) as folder:
        survivor = folder.running(azurite.NAME)
        assert survivor is not None
        assert ensure(folder, azurite_kind(folder, print), None, print)["table"] == port
        again = folder.running(azurite.NAME)
        assert again is not None
        assert again.pid == survivor.pid


def test_a_stopped_azurite_has_saved_what_it_acknowledged(data: Path):
    """It writes to disk every few seconds only, but also when it is stopped by signal."""
    with DataFolder.opened(data) as folder:
        kind = azurite_kind(folder, print)
        ports = ensure(folder, kind, None, print)
        for number in range(20):
            _insert(folder, str(number))
        stop(folder, azurite.NAME, print)
        assert not accepts(ports["table"])
        ensure(folder, kind, None, print)
        assert _rows(folder) == {str(number) for number in range(20)}

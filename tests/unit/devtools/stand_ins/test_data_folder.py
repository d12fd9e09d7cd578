import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from devtools.stand_ins import data_folder
from devtools.stand_ins.data_folder import DataFolder
from shared.errors import BadInput
from tests.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from devtools.stand_ins.data_folder import DataFolder
with DataFolder.opened(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _hold(path: Path) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", HOLD, path]
    holder = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_folder_in_use_names_who_uses_it(tmp_path: Path):
    with _hold(tmp_path) as holder, pytest.raises(BadInput) as refused, DataFolder.opened(tmp_path):
        pass
    assert str(refused.value) == (
        f"data directory {tmp_path}: found in use by pid {holder.pid}, allowed: one command at a time"
    )


def test_a_killed_holder_holds_no_longer(tmp_path: Path):
    """The lock is the kernel's, so nobody has to clear up after a crash."""
    with _hold(tmp_path) as holder:
        holder.kill()
    with DataFolder.opened(tmp_path) as folder:
        assert folder.path == tmp_path


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(BadInput, match=r"data directory .*file/data: found Not a directory, allowed: a folder"),
        DataFolder.opened(tmp_path / "file" / "data"),
    ):
        pass


def test_a_record_survives(tmp_path: Path):
    with DataFolder.opened(tmp_path) as folder:
        folder.record("a", {"http": 1}, folder.command("a", ("x", "y"), own_session=True))
        folder.record("b", {"http": 2}, folder.command("b", ("z",), own_session=False))
    with DataFolder.opened(tmp_path) as folder:
        records = folder.recorded()
    assert records["a"].arguments == ("x", "y")
    assert records["b"].ports == {"http": 2}
    assert not records["b"].own_session


def test_a_broken_record_is_one_clear_line(tmp_path: Path):
    (tmp_path / "stack.json").write_text("{")
    with (
        DataFolder.opened(tmp_path) as folder,
        pytest.raises(BadInput, match=r"stack\.json: found no record"),
    ):
        folder.recorded()


def test_credential_keys_are_made_once_and_for_the_owner_only(tmp_path: Path):
    with DataFolder.opened(tmp_path) as folder:
        key = folder.credential_keys()
        assert folder.credential_keys() == key
    Fernet(key)
    assert stat.S_IMODE((tmp_path / "credential_keys").stat().st_mode) == 0o600


def test_a_temporary_folder_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(data_folder, "TEMPORARY", tmp_path)
    with data_folder.temporary() as folder:
        (folder.path / "something").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_call_left_is_stopped_and_removed(tmp_path: Path):
    """Without a data directory nobody could ever find these servers again."""
    left = tmp_path / "left"
    with DataFolder.opened(left) as folder:
        command = folder.command("server", ("sleep", "600.25"), own_session=True)
        folder.record("server", {"http": 1}, command)
        server = data_folder.Server.start("server", command, os.environ)
        wait_until(lambda: folder.running("server"), seconds=30)
    data_folder.sweep(tmp_path)
    assert not server.is_running()
    assert not left.exists()


def test_a_temporary_folder_in_use_is_left_alone(tmp_path: Path):
    with DataFolder.opened(tmp_path / "used") as folder:
        (folder.path / "stack.json").write_text(json.dumps({}))
        data_folder.sweep(tmp_path)
        assert (folder.path / "stack.json").exists()

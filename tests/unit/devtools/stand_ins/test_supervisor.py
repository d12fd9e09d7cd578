"""The server is a small script here; Azurite itself is in tests/integration."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.stand_ins import supervisor
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import LOOPBACK, Ports, accepts
from devtools.stand_ins.server import Server
from devtools.stand_ins.supervisor import Kind, ensure, stop
from shared.errors import BadInput

LISTENS = """
import signal, socket, sys
def save_and_end(*_):
    open(sys.argv[2] + "/saved", "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, save_and_end)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open(sys.argv[2] + "/ready", "w").close()
while True:
    listener.accept()[0].close()
"""
IS_STUBBORN = LISTENS.replace("signal.SIGTERM, save_and_end", "signal.SIGTERM, signal.SIG_IGN")
IS_LARGE = "held = bytearray(b'x') * 1_000_000_000" + IS_STUBBORN
"""Takes a while to be taken apart, and listens until that is done."""

GIVES_UP = "import sys; print('first line', flush=True); sys.exit('the disk is full')"


def _kind(folder: DataFolder, script: str = LISTENS) -> Kind:
    return Kind(
        "server",
        "the server",
        ("http",),
        lambda ports: (sys.executable, "-c", script, str(ports["http"]), str(folder.path)),
        lambda ports: (folder.path / "ready").exists() and accepts(ports["http"]),
        os.environ,
        ready_file=folder.path / "ready",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    with DataFolder.opened(tmp_path / "with a blank") as opened:
        yield opened
        stop(opened, "server", print)


def _running(folder: DataFolder) -> Server:
    server = folder.running("server")
    assert server is not None
    return server


def test_a_server_is_found_again(folder: DataFolder):
    first = ensure(folder, _kind(folder), None, print)
    before = _running(folder).pid
    assert ensure(folder, _kind(folder), None, print) == first
    assert _running(folder).pid == before


def test_a_server_that_ended_is_started_on_its_old_ports(folder: DataFolder):
    first = ensure(folder, _kind(folder), None, print)
    ended = _running(folder)
    ended.stop(print)
    assert ensure(folder, _kind(folder), None, print) == first
    assert _running(folder).pid != ended.pid


def test_a_stranger_with_the_recorded_process_id_is_not_taken_for_the_server(folder: DataFolder):
    """After a crash the system gives the number to somebody else, whom we must neither trust nor stop."""
    ensure(folder, _kind(folder), None, print)
    stop(folder, "server", print)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (folder.path / "server.pid").write_text(str(stranger.pid))
        stop(folder, "server", print)
        assert folder.running("server") is None
        assert stranger.poll() is None
        stranger.kill()


def test_stopping_is_by_signal_and_awaited(folder: DataFolder):
    ports = ensure(folder, _kind(folder), None, print)
    stop(folder, "server", print)
    assert (folder.path / "saved").exists()
    assert not accepts(ports["http"])


def test_a_server_that_does_not_end_is_killed_with_a_warning(folder: DataFolder):
    ports = ensure(folder, _kind(folder, IS_STUBBORN), None, print)
    said: list[str] = []
    _running(folder).stop(said.append, patience=1)
    assert not accepts(ports["http"])
    assert "did not end within 1 s and was killed" in said[0]


def test_a_server_that_was_killed_has_left_its_ports(folder: DataFolder):
    """Another may be started there at once."""
    ports = ensure(folder, _kind(folder, IS_LARGE), None, print)
    _running(folder).stop(print, patience=1)
    assert not accepts(ports["http"])


def test_a_server_that_gives_up_is_quoted(folder: DataFolder):
    with pytest.raises(BadInput, match=r"the server did not start: the disk is full \(see .*server\.log\)"):
        ensure(folder, _kind(folder, GIVES_UP), None, print)
    assert folder.running("server") is None


def test_a_server_that_never_answers_is_stopped(folder: DataFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "READY_SECONDS", 0.2)
    with pytest.raises(BadInput, match="did not answer within"):
        ensure(folder, _kind(folder, "import time; time.sleep(600)"), None, print)
    assert folder.running("server") is None


def test_a_fixed_port_in_use_is_refused(folder: DataFolder):
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port} for the server"):
            ensure(folder, _kind(folder), {"http": port}, print)


def test_a_port_that_is_taken_meanwhile_is_given_up_for_another(folder: DataFolder, monkeypatch: pytest.MonkeyPatch):
    """Between finding a free port and binding it, another process may be quicker."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        taken: Ports = {"http": listener.getsockname()[1]}
        real = supervisor.free_ports
        offers = iter([taken])
        monkeypatch.setattr(supervisor, "free_ports", lambda services: next(offers, None) or real(services))
        assert ensure(folder, _kind(folder), None, print) != taken


def test_a_server_of_an_older_installation_is_replaced(folder: DataFolder):
    """Two servers on one data folder would write over each other."""
    ensure(folder, _kind(folder, LISTENS + "# older"), None, print)
    older = _running(folder)
    ensure(folder, _kind(folder), None, print)
    assert not older.is_running()
    assert _running(folder).pid != older.pid

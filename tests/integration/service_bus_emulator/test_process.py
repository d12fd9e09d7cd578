"""The process: ready line, port file, clean end, and one clear line when it cannot start."""

import socket
import subprocess

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode

QUEUES = {"orders": {}}


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def root(request):
    return request.config.rootpath


def test_the_ready_line_and_the_port_file_name_the_same_port_and_sigterm_ends_cleanly(start_emulator):
    emulator = start_emulator(QUEUES)

    assert emulator.connection_string.startswith(f"Endpoint=sb://127.0.0.1:{emulator.port};")
    assert emulator.connection_string.endswith("UseDevelopmentEmulator=true;")
    assert emulator.stop() == 0


def test_a_clean_end_keeps_everything_too(start_emulator, tmp_path):
    """With the synchronous SDK, for once."""
    emulator = start_emulator(QUEUES, journal=tmp_path / "journal.db")
    with ServiceBusClient.from_connection_string(emulator.connection_string) as client:
        with client.get_queue_sender("orders") as sender:
            sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
        with client.get_queue_receiver("orders") as receiver:
            receiver.complete_message(receiver.receive_messages(1, max_wait_time=20)[0])
            assert emulator.stop() == 0

    emulator.start()

    with (
        ServiceBusClient.from_connection_string(emulator.connection_string) as client,
        client.get_queue_receiver("orders", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver,
    ):
        assert [str(message) for message in receiver.receive_messages(1, max_wait_time=20)] == ["b"]


def test_a_port_in_use_is_one_line_and_status_2(start_emulator, root, tmp_path):
    emulator = start_emulator(QUEUES)

    second = run(emulator.command(emulator.port, tmp_path / "port"), root)

    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"port {emulator.port} on 127.0.0.1 cannot be used" in second.stderr
    assert not (tmp_path / "port").exists()


def test_a_journal_in_use_is_one_line_and_status_2(start_emulator, root, tmp_path):
    emulator = start_emulator(QUEUES, journal=tmp_path / "journal.db")

    second = run(emulator.command(0, tmp_path / "port"), root)

    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "journal.db: the journal is in use by another emulator" in second.stderr


def test_verbose_logs_operations_and_never_a_body(start_emulator, root, tmp_path):
    emulator = start_emulator(QUEUES)
    emulator.stop()
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*emulator.command(0, tmp_path / "port"), "--verbose"],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        connection_string = process.stdout.readline().strip()
        with (
            ServiceBusClient.from_connection_string(connection_string) as client,
            client.get_queue_sender("orders") as sender,
        ):
            sender.send_messages(ServiceBusMessage("canary-body", application_properties={"k": "canary-property"}))
        process.terminate()

    assert "send orders: 1 message(s)" in log.read_text()
    assert "canary" not in log.read_text()


def test_a_client_that_speaks_tls_is_cut_off_instead_of_left_waiting(start_emulator):
    emulator = start_emulator(QUEUES)

    with socket.create_connection(("127.0.0.1", emulator.port), timeout=60) as client:
        client.sendall(b"\x16\x03\x01\x02\x00")
        assert client.recv(100) == b""

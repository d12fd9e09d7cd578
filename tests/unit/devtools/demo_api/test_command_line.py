"""`python -m devtools.demo_api`, as a process of its own."""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp
import pytest

PATIENCE = 60  # seconds until a process that hangs fails the test


async def start(*arguments: str) -> Process:
    command = (sys.executable, "-m", "devtools.demo_api", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)


async def run(*arguments: str) -> tuple[int | None, str, str]:
    """Exit status, standard output and standard error."""
    process = await start(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, sent: signal.Signals) -> None:
    """The port file names the port, goes away at the end, and the exit status is 0."""
    port_file = tmp_path / "port"
    process = await start("--users", "3", "--port", "0", "--port-file", str(port_file))
    assert process.stdout is not None
    announced = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    port = int(port_file.read_text())
    assert f"http://127.0.0.1:{port}: 3 users," in announced.decode()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as response:
        assert response.status == 200
    process.send_signal(sent)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert not port_file.exists()


async def test_a_port_in_use_is_one_line_and_status_2() -> None:
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = await run("--users", "1", "--port", str(port))
    assert (status, out) == (2, "")
    assert err == f"demo_api: port {port} is in use; give --port another number, or 0 for any free one\n"


async def test_a_port_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """One line and status 2."""
    status, _, err = await run("--users", "1", "--port", "0", "--port-file", str(tmp_path / "gone" / "port"))
    assert (status, err.count("\n")) == (2, 1)
    assert "gone/port" in err


async def test_users_prints_one_json_line_for_each() -> None:
    """Ready for `headframe mine --users`."""
    status, out, err = await run("users", "--users", "3", "--seed", "9")
    assert (status, err) == (0, "")
    assert [json.loads(line)["user"] for line in out.splitlines()] == ["u001", "u002", "u003"]


async def test_faults_prints_a_file_that_the_server_accepts(tmp_path: Path) -> None:
    """Printed, read again, and refused for nothing but the port."""
    _, out, _ = await run("faults")
    path = tmp_path / "faults.json"
    path.write_text(out)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, _, err = await run("--users", "5", "--faults", str(path), "--port", str(taken.getsockname()[1]))
    assert "is in use" in err


async def test_help_teaches_with_an_example() -> None:
    """How to get users, start, and ask for a page, and every rate of a fault file."""
    status, out, _ = await run("--help")
    assert status == 0
    for taught in ("users --users 200 --seed 7 > users.jsonl", "Authorization: Bearer", "reset_midway", "/truth"):
        assert taught in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--users", "0"], "argument --users: '0' is not a whole number from 1 to 10,000"),
        (["--latency-ms", "nan"], "argument --latency-ms: 'nan' is not a number from 0"),
        (["--faults", "gone.json"], "argument --faults: gone.json: No such file or directory; allowed: none, default"),
        (["start"], "unrecognized arguments: start"),
        (["users", "--port", "1"], "unrecognized arguments: --port 1"),
    ],
)
async def test_a_bad_option_is_one_line_and_status_2(arguments: list[str], message: str) -> None:
    """What was found and what is allowed."""
    status, out, err = await run(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"demo_api: {message}")

"""Programs measured as whole processes: wall time, CPU, the most memory, and what they delivered."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.__main__ import PARTS, Work, mock_api
from bench.__main__ import measure as measure_headframe
from bench.peers.contenders import Contender
from devtools.places import ROOT

ENVIRONMENTS = ROOT / ".headframe" / "bench"
SECONDS = 1200
OURS = "Headframe"


@dataclass(frozen=True, slots=True)
class Measured:
    """`cpu_ms` is per page and counts start and imports; of Headframe it is that of the workers, and `beside` that of
    the rest of its stack. `records` is None where nothing has been delivered yet.
    """

    name: str
    latency_ms: float
    pages: int
    wall: float
    cpu_ms: float
    rss_mb: float
    records: int | None
    exit_status: int
    beside: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def environment(contender_file: Path) -> Path:
    """The Python of an environment with these requirements, made anew when they have changed."""
    place = ENVIRONMENTS / contender_file.stem
    wanted, python = contender_file.read_text(), place / "bin" / "python"
    made = place / "requirements.txt"
    if not made.exists() or made.read_text() != wanted:
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        subprocess.run([*install, "-r", contender_file], check=True)
        made.write_text(wanted)
    return python


def measure(contender: Contender, python: Path, work: Work, latency_ms: float, place: Path, revoked: str) -> Measured:
    """One run on an empty folder."""
    output = place / "output"
    output.mkdir()
    with mock_api(work, latency_ms, place, revoked) as port:
        command = [str(python), *contender.arguments(f"http://127.0.0.1:{port}", work.users, output, latency_ms)]
        began = time.monotonic()
        with (output / "stdout").open("wb") as out, (output / "stderr").open("wb") as errors:
            process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=output)
            peak, status, used = _waited_for(process)
        wall = time.monotonic() - began
    pages = work.users * work.pages
    return Measured(
        contender.name,
        latency_ms,
        pages,
        wall,
        (used.ru_utime + used.ru_stime) / pages * 1000,
        peak / 1e6,
        contender.counted(output),
        status,
        {},
    )


def _waited_for(process: "subprocess.Popen[bytes]") -> tuple[int, int, resource.struct_rusage]:
    """The most memory it was seen to hold, its exit status and what it has used, with its children.

    The system's own peak would be that of this process, which it was forked from.
    """
    peak, seen = 0, psutil.Process(process.pid)
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return peak, process.returncode, used
        with contextlib.suppress(psutil.Error):
            peak = max(peak, seen.memory_info().rss)
        time.sleep(0.05)


def measure_ours(work: Work, latency_ms: float, pages_per_message: int, revoked: str) -> Measured:
    """The whole local stack, one worker process."""
    result = measure_headframe(work, latency_ms, pages_per_message, revoked)
    pages = work.users * work.pages
    per_page = {title: result.cpu.get(part, 0) / pages * 1000 for part, title in PARTS.items()}
    name = f"{OURS}, {pages_per_message} page{'s' if pages_per_message > 1 else ''} a message"
    worker = per_page.pop("worker")
    rss, status = result.peaks.get("worker", 0), result.exit_status
    return Measured(name, latency_ms, pages, result.wall, worker, rss, result.records, status, per_page)

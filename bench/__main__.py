"""`python -m bench`: 200 users × 10 pages × 100 records through the whole local stack, at 0 and 100 ms latency, one and
ten pages a message.

Every part is the real one of `headframe mine`: Azurite, the Service Bus emulator, the local host with its worker. The
source is a mock that is never the bottleneck. CPU is user and system time of each part from its start, start-up
included; wall time is that of the mining.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rich.console import Console

from bench.cpu import CpuSampler
from devtools.cli.mine import Job, mine
from devtools.cli.progress import Display
from devtools.cli.users_file import UsersFile
from devtools.stand_ins.data_folder import DataFolder
from shared.pipeline.loader import load_folder
from shared.users import User

PIPELINES = Path(__file__).parent / "pipelines"
SOAK = 1800.0
"""Seconds."""

PARTS = {"worker": "worker", "host": "host", "service-bus": "emulator", "azurite": "Azurite"}


@dataclass(frozen=True, slots=True)
class Work:
    users: int
    pages: int
    records: int


@dataclass(frozen=True, slots=True)
class Result:
    """`cpu` is seconds and `peaks` are MB by part of the stack, `runs` how many ended how.

    `growth` is by how many MB the worker would grow in half an hour, going by the second half of the run.
    """

    latency_ms: float
    pages_per_message: int
    pages: int
    records: int
    wall: float
    cpu: dict[str, float]
    peaks: dict[str, float]
    growth: float
    runs: dict[str, int]
    exit_status: int

    def row(self) -> str:
        run = f"{self.latency_ms:7.0f} {self.pages_per_message:8} {self.pages:6}"
        per_page = " ".join(f"{self.cpu.get(part, 0) / self.pages * 1000:8.1f}" for part in PARTS)
        growth = f"{self.growth:.1f}" if self.wall >= SOAK / 6 else "-"
        memory = f"{self.peaks.get('worker', 0):8.0f} {growth:>8}"
        return f"{run} {self.wall:7.1f} {self.pages / self.wall:8.1f} {per_page} {memory}"


HEADER = "latency together  pages    wall  pages/s " + " ".join(
    f"{title:>8}" for title in (*PARTS.values(), "RSS MB", "30 min")
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--pages", type=int, default=10, help="pages per user")
    parser.add_argument("--records", type=int, default=100, help="records per page")
    parser.add_argument("--pages-per-message", type=int, nargs="+", default=[1, 10], help="one run each")
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 100], help="of the mock API, one run each")
    arguments = parser.parse_args()
    work = Work(arguments.users, arguments.pages, arguments.records)
    print(f"{work.users} users x {work.pages} pages x {work.records} records; ms of CPU per page by process,")
    print("most memory of the worker, and by how much it grows in half an hour (of runs of 5 minutes and more)")
    print(HEADER)
    results = []
    for latency, together in product(arguments.latency_ms, arguments.pages_per_message):
        results.append(measure(work, latency, together))
        print(results[-1].row(), flush=True)
    complete = all(result.records == work.users * work.pages * work.records for result in results)
    print("every record delivered" if complete else f"records delivered: {[result.records for result in results]}")
    return 0 if complete else 1


def measure(work: Work, latency_ms: float, pages_per_message: int, revoked: str = "") -> Result:
    """One run on an empty data folder."""
    with tempfile.TemporaryDirectory() as place, mock_api(work, latency_ms, Path(place), revoked) as port:
        output = Path(place) / "output"
        pipelines = pipelines_with(pages_per_message, Path(place) / "pipelines")
        job = Job(pipelines, load_folder(pipelines), users(work, port), output)
        display = Display(Console(stderr=True))
        data = DataFolder.opened(Path(place) / "data")
        with data as folder, CpuSampler(lambda: pids(folder)) as sampler, display.running():
            summary = mine(job, folder, display)
        lines = sum(file.read_bytes().count(b"\n") for file in output.rglob("*.jsonl"))
        cpu, peaks, growth = sampler.seconds(), sampler.peaks(), sampler.growth("worker") * SOAK
        runs, status = dict(summary.runs), summary.exit_status
        return Result(
            latency_ms, pages_per_message, summary.pages, lines, summary.seconds, cpu, peaks, growth, runs, status
        )


def pipelines_with(pages_per_message: int, place: Path) -> Path:
    """The pipelines of the bench, told how many pages a message mines."""
    place.mkdir()
    for file in PIPELINES.glob("*.yaml"):
        text = file.read_text().replace("    paginator:", f"    pages_per_message: {pages_per_message}\n    paginator:")
        (place / file.name).write_text(text)
    return place


def users(work: Work, port: int) -> UsersFile:
    base = {"base_url": f"http://127.0.0.1:{port}"}
    found = [User(f"user{number:05}", {"token": f"token-{number}"}, base) for number in range(work.users)]
    return UsersFile({user.id: user for user in found}, {})


def pids(folder: DataFolder) -> dict[str, int]:
    """The processes of the stack that run now."""
    running = {name: folder.running(name) for name in folder.recorded()}
    return {name: server.pid for name, server in running.items() if server is not None}


@contextlib.contextmanager
def mock_api(work: Work, latency_ms: float, place: Path, revoked: str = "") -> Iterator[int]:
    port_file = place / "mock_api.port"
    options = ["--pages", str(work.pages), "--records", str(work.records), "--latency-ms", str(latency_ms)]
    options += ["--revoked", revoked] if revoked else []
    command = [sys.executable, "-m", "bench.mock_api", *options, "--port-file", str(port_file)]
    process = subprocess.Popen(command)
    try:
        while not port_file.exists() and process.poll() is None:
            time.sleep(0.02)
        yield int(port_file.read_text())
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())

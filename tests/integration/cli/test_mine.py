"""`headframe mine` with everything real: Azurite, the emulator, the host, the demo API."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.demo_api.comparison import Comparison, compare
from devtools.demo_api.users import user_lines
from devtools.stand_ins.data_folder import DataFolder
from tests.waiting import wait_until

pytestmark = [pytest.mark.stand_ins, pytest.mark.usefixtures("storage", "broker")]  # these skip what can't run here

ROOT = Path(__file__).resolve().parents[3]
HEADFRAME = Path(sys.executable).with_name("headframe")
USERS, SEED = 4, 7
MINUTES = 4 * 60


@dataclass(frozen=True)
class Place:
    """A folder with pipelines and users for a demo API that runs."""

    folder: Path
    base_url: str

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def command(self) -> list[str]:
        options = {
            "--pipelines": self.folder / "pipelines",
            "--users": self.folder / "users.jsonl",
            "--output": self.output,
            "--data": self.data,
        }
        return [str(HEADFRAME), "mine", "--json", *(str(part) for option in options.items() for part in option)]

    def mine(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(), capture_output=True, text=True, check=False, timeout=MINUTES)

    def started(self) -> "subprocess.Popen[bytes]":
        """In a process group of its own, as a shell starts it."""
        return subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, start_new_session=True)

    def asked(self, *command: str) -> dict[str, Any]:
        """What another command says about the data folder, as JSON."""
        return json.loads(subprocess.check_output([HEADFRAME, *command, "--data", self.data], timeout=MINUTES))

    def compared(self) -> Comparison:
        with urllib.request.urlopen(f"{self.base_url}/truth") as truth:
            return compare(truth.read().splitlines(), self.output)

    def objects(self) -> list[Path]:
        return list(self.output.rglob("*.jsonl"))

    def running(self) -> list[str]:
        """Servers of this data folder that are alive."""
        folder = DataFolder(self.data)
        return [name for name in folder.recorded() if folder.running(name)]


@pytest.fixture
def place_of(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Starts a demo API with the options given; both it and whatever a test left running are stopped."""
    apis: list[subprocess.Popen[bytes]] = []

    def place_of(*options: str) -> Place:
        port_file = tmp_path / "port"
        identity = ["--users", str(USERS), "--seed", str(SEED), "--port", "0", "--port-file", str(port_file)]
        apis.append(subprocess.Popen([sys.executable, "-m", "devtools.demo_api", *identity, *options], cwd=ROOT))
        wait_until(port_file.exists, 60)
        return _place(tmp_path, f"http://127.0.0.1:{int(port_file.read_text())}")

    yield place_of
    for api in apis:
        api.terminate()
        api.wait()
    if (tmp_path / "data").exists():
        DataFolder(tmp_path / "data").stop_all(print)


def _place(folder: Path, base_url: str) -> Place:
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "demo.yaml").write_text((ROOT / "pipelines" / "demo.yaml").read_text())
    users = [json.loads(line) | {"params": {"base_url": base_url}} for line in user_lines(USERS, SEED)]
    (folder / "users.jsonl").write_text("".join(json.dumps(user) + "\n" for user in users))
    return Place(folder, base_url)


def test_everything_is_mined_once_and_what_is_known_is_not_written_again(place_of: Callable[..., Place]):
    place = place_of("--user-rate", "0")
    first = place.mine()
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout)
    assert summary["runs"] == {"done": 2 * USERS}
    comparison = place.compared()
    assert comparison.clean, str(comparison)
    assert comparison.records == summary["records"] > 0
    assert place.running() == []
    status = place.asked("status", "--json")
    assert [stream["delivered"] for stream in status["streams"]] == [stream["records"] for stream in status["streams"]]
    shown = place.asked("runs", "show", "demo/posts/u001", "--json")
    assert (shown["state"], shown["waiting_pages"], shown["delivered_records"]) == ("done", 0, shown["records"])
    second = json.loads(place.mine().stdout)
    assert (second["records"], second["duplicates"]) == (0, summary["records"])
    assert place.compared().records == summary["records"]


def test_a_mine_that_is_killed_goes_on_where_it_was(place_of: Callable[..., Place]):
    """SIGKILL for the whole process group, once while it works and once while it starts again."""
    place = place_of("--user-rate", "1.5")
    for wanted in (1, 0):
        mine = place.started()
        with mine:
            wait_until(lambda wanted=wanted: place.running() and len(place.objects()) >= wanted, MINUTES)
            os.killpg(mine.pid, signal.SIGKILL)
    last = place.mine()
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout)["resumed"]
    comparison = place.compared()
    assert comparison.clean, str(comparison)
    assert place.running() == []


def test_ctrl_c_leaves_nothing_running(place_of: Callable[..., Place]):
    """The terminal sends it to the whole group: to the command and to the host."""
    place = place_of("--user-rate", "0.5")
    with place.started() as mine:
        wait_until(lambda: "host" in place.running(), MINUTES)
        os.killpg(mine.pid, signal.SIGINT)
        assert mine.wait(MINUTES) == 130
    assert place.running() == []


def test_an_azurite_that_will_not_start_is_one_line_and_leaves_nothing_running(place_of: Callable[..., Place]):
    place = place_of()
    place.data.mkdir()
    (place.data / "azurite").write_text("a file where its folder should be")
    done = place.mine()
    assert done.returncode == 2
    assert done.stderr.startswith("headframe: Azurite did not start: ")
    assert len(done.stderr.splitlines()) == 1
    assert place.running() == []


def test_an_emulator_that_will_not_start_is_one_line_and_leaves_nothing_running(place_of: Callable[..., Place]):
    """Azurite, which did start, is stopped again."""
    place = place_of()
    place.data.mkdir()
    (place.data / "service_bus.sqlite").write_text("this is no database, and long enough to look like a broken one" * 9)
    done = place.mine()
    assert done.returncode == 2
    assert done.stderr.startswith("headframe: the Service Bus emulator did not start: ")
    assert len(done.stderr.splitlines()) == 1
    assert place.running() == []

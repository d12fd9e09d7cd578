"""`headframe demo`: 200 users of an unreliable API are mined, and the output is compared with the truth."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from devtools.cli import mine, summary
from devtools.cli.progress import Display
from devtools.cli.summary import Summary
from devtools.cli.users_file import UsersFile
from devtools.demo_api.comparison import Comparison, compare
from devtools.demo_api.users import user_lines
from devtools.places import CACHE, ROOT
from devtools.stand_ins import demo_api, stack
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import Ports
from devtools.stand_ins.supervisor import ensure, stop
from shared.pipeline.loader import load_folder
from shared.users import User

DATA = CACHE / "demo"
PIPELINE = ROOT / "pipelines" / "demo.yaml"
PARKED_FOR = {"credential": "invalid_credential", "cursor_loop": "cursor_loop"}
"""How mining has to end for the users whose token has expired or whose cursor repeats for ever."""

SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Demo:
    users: int
    seed: int
    faults: str

    @property
    def options(self) -> tuple[str, ...]:
        return ("--users", str(self.users), "--seed", str(self.seed), "--faults", self.faults)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was mined against what the API knows it has shown."""

    comparison: Comparison
    wrongly_ended: list[str]

    @property
    def clean(self) -> bool:
        return self.comparison.clean and not self.wrongly_ended


def demo(chosen: Demo, display: Display) -> tuple[Summary, Verdict]:
    """Mine everything into a fresh data folder. Raises BadInput or StackBroke."""
    with DataFolder.opened(DATA) as folder:
        _empty(folder, display)
        try:
            ports = ensure(folder, stack.demo_api_kind(folder, chosen.options), None, display.say)
            mined = mine.mine(_job(chosen, folder, ports), folder, display)
            return mined, judge(demo_api.truth(ports), mined)
        finally:
            stop(folder, demo_api.NAME, display.say)


def judge(truth: list[bytes], mined: Summary) -> Verdict:
    """Compare the output, and how each user's runs ended, with the lines of the API's truth."""
    expected = {line["user"]: PARKED_FOR.get(line["outcome"]) for line in map(json.loads, truth)}
    parked = {each.user: each.reason for each in mined.parked}
    wrongly_ended = [
        f"{user}: found {parked.get(user, 'done')}, expected {reason or 'done'}"
        for user, reason in expected.items()
        if parked.get(user) != reason
    ]
    return Verdict(compare(truth, mined.output), wrongly_ended)


def show(mined: Summary, verdict: Verdict, console: Console) -> None:
    """The summary, the comparison, sample rows and how to ask more."""
    summary.show(mined, console)
    console.print("\ncompared with the API's own truth", style="bold")
    for line in [str(verdict.comparison), *(f"ended wrongly: {each}" for each in verdict.wrongly_ended)]:
        console.print(line)
    console.print("\nsome of the output", style="bold")
    for row in samples(Path(mined.output)):
        console.print(row, soft_wrap=True)
    posts = f"{mined.output}/demo/posts/date=*/*.jsonl"
    console.print("\nask it more", style="bold")
    console.print(f"head -qn1 {posts}", soft_wrap=True)
    console.print(f"duckdb -c \"FROM '{posts}' SELECT _user, count(*) GROUP BY 1\"", soft_wrap=True)


def samples(output: Path) -> list[str]:
    """The first line of each of the first few objects."""
    files = sorted(output.glob("*/*/date=*/*.jsonl"))
    chosen = files[:: max(1, len(files) // SAMPLES)][:SAMPLES]
    return [file.open(encoding="utf-8").readline().rstrip() for file in chosen]


def _empty(folder: DataFolder, display: Display) -> None:
    """Stop and remove what an earlier demo left; the lock stays ours."""
    folder.stop_all(display.say)
    for entry in folder.path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()


def _job(chosen: Demo, folder: DataFolder, ports: Ports) -> mine.Job:
    pipelines = folder.path / "pipelines"
    pipelines.mkdir()
    shutil.copy(PIPELINE, pipelines)
    params = {"base_url": demo_api.base_url(ports)}
    lines = map(json.loads, user_lines(chosen.users, chosen.seed))
    users = {line["user"]: User(line["user"], line["credentials"], params) for line in lines}
    return mine.Job(pipelines, load_folder(pipelines), UsersFile(users, {}), _seen_from_here(folder.path / "output"))


def _seen_from_here(path: Path) -> Path:
    """Relative, where that is shorter to read and to type."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path

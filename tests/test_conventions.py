"""What of CONTRIBUTING.md a machine can check and ruff, mypy and import-linter do not."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from devtools.places import ROOT

MADE = {"__pycache__", "node_modules", "output", "dist"}
"""Folders that are made by running things; so are all that begin with a dot."""

LOCK_FILES = {"uv.lock", "requirements.txt", "package-lock.json"}
MOST_LINES = 400
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

LONGER_FILES: dict[str, str] = {}
"""Files over MOST_LINES, each with the reason why it is not divided."""

EMULATOR_TESTS = "tests/integration/service_bus_emulator"
MAY_SLEEP = {
    f"{EMULATOR_TESTS}/test_queues.py: asyncio.sleep(0.01)": "locks end at whole milliseconds",
    f"{EMULATOR_TESTS}/test_sessions.py: asyncio.sleep(0.01)": "locks end at whole milliseconds",
    f"{EMULATOR_TESTS}/test_sessions.py: asyncio.sleep(0.2)": "nothing tells that a receiver waits for a session",
}
"""Sleeps that no condition can take the place of, each with its reason."""

VIRTUAL_TIME = "tests/simulation/"
"""Its clock is virtual: a sleep there takes no time."""


def files() -> Iterator[Path]:
    """Every text file that somebody wrote."""
    yield ROOT / ".ci" / "run"
    pending = [ROOT]
    while pending:
        for entry in sorted(pending.pop().iterdir()):
            if entry.name.startswith(".") or entry.name in MADE | LOCK_FILES:
                continue
            if entry.is_dir():
                pending.append(entry)
            elif entry.name != "local.settings.json" and entry.suffix != ".png":
                yield entry


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


FILES = sorted(files())
MODULES = [file for file in FILES if file.suffix == ".py"]
TESTS = [file for file in MODULES if name_of(file).startswith("tests/")]


def lines_with(pattern: str, among: list[Path]) -> list[str]:
    """Each line that the pattern is found in, as file:line: text."""
    return [
        f"{name_of(file)}:{number}: {line.strip()}"
        for file in among
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_the_project_is_looked_at():
    """Without this, a wrong root would let everything below pass."""
    assert {"function_app.py", "shared/checkpoint.py", "tests/test_conventions.py"} <= set(map(name_of, MODULES))


def test_no_module_is_named_after_nothing():
    """A module is named after what it is about; these names fit everything."""
    parts = {part for file in MODULES for part in file.relative_to(ROOT).with_suffix("").parts}
    assert parts & NO_NAMES == set()


def test_no_module_is_too_long_to_be_read_at_once():
    lengths = {name_of(file): len(file.read_text().splitlines()) for file in MODULES}
    assert {name for name, length in lengths.items() if length > MOST_LINES} == LONGER_FILES.keys()


def test_nothing_is_left_to_be_done_in_a_comment():
    assert lines_with(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", FILES) == []


def test_no_file_names_a_path_of_this_machine():
    """Whoever clones the project has other folders."""
    own = "|".join(re.escape(str(folder)) for folder in {ROOT, Path.home()} if len(folder.parts) > 1)
    assert lines_with(rf"(?<![\w.~])({own}|/(home|Users)/\w+)(?![\w-])", FILES) == []


def test_every_exception_from_a_check_carries_its_reason():
    """Behind the code, as in `noqa: S311 - seeded` or `type: ignore[arg-type]  # a fake`, or in a comment above."""
    allowed = re.compile(r"# (noqa|type: ignore)")
    reason = re.compile(r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* +[-–#] +\w|# type: ignore\[[\w, -]+\]  # \w")
    bare = [
        f"{name_of(file)}: {line.strip()}"
        for file in MODULES
        for above, line in pairwise(["", *file.read_text().splitlines()])
        if allowed.search(line) and not reason.search(line) and not above.lstrip().startswith("# ")
    ]
    assert [line for line in bare if not line.startswith("tests/test_conventions.py")] == []


def test_only_what_runs_in_azure_is_deployed():
    ignored = set((ROOT / ".funcignore").read_text().split())
    assert {"tests", "devtools", "bench", "docs", "local.settings*.json"} <= ignored
    assert ignored.isdisjoint({"miners", "processors", "operations", "shared", "pipelines", "requirements.txt"})


# Tests


def names_of_tests(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


def _sleeps(file: Path) -> Iterator[str]:
    """Calls that let time pass, but for those of a loop, which looks again and again whether a condition holds.

    `asyncio.sleep(0)` lets others run and is none.
    """
    module = ast.parse(file.read_text())
    loops = [node for node in ast.walk(module) if isinstance(node, ast.While)]
    looped = {node for loop in loops for node in ast.walk(loop)}
    calls = {ast.unparse(node) for node in ast.walk(module) if isinstance(node, ast.Call) and node not in looped}
    for call in calls:
        if re.fullmatch(r"((time|asyncio)\.)?sleep\((?!0\)).*\)", call):
            yield f"{name_of(file)}: {call}"


def test_the_name_of_every_test_is_a_sentence():
    """At least three words behind `test`."""
    names = {f"{name_of(file)}: {name}" for file in TESTS for name in names_of_tests(ast.parse(file.read_text()))}
    assert names
    assert {name for name in names if len(name.split("test_", 1)[-1].split("_")) < 3} == set()


def test_nothing_is_mocked_in_the_tests():
    """Fakes keep promises; a mock agrees with whatever the test believes."""
    assert lines_with(r"^\s*(from|import) (unittest|mock|pytest_mock)\b", TESTS) == []


def test_no_test_sleeps_where_it_could_await():
    """What may sleep is listed, and what is listed does."""
    sleeping = {call for file in TESTS for call in _sleeps(file) if not name_of(file).startswith(VIRTUAL_TIME)}
    assert sleeping == MAY_SLEEP.keys()

"""The docs name everything there is, and nothing that is not. Their examples: `test_docs_examples.py`."""

import ast
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer.main
from pydantic.fields import FieldInfo

from devtools.cli.app import app as command_line
from devtools.places import QUEUES_FILE
from devtools.settings_reference import FOR_THE_HOST, reference
from miners.scheduler import CURED_BY_TIME, CURED_BY_USER
from processors.dead_letters import POLICY as DEAD_LETTERS
from processors.dead_letters import Replay
from shared.errors import ErrorKind
from shared.pipeline.spec import Pipeline, Spec
from shared.pipeline.spec.places import models, options
from shared.retries import POLICY as RETRIES
from shared.services import TABLES
from shared.settings import Settings
from tests import markdown

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ARCHITECTURE, OPERATIONS, PIPELINES = (
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("architecture", "operations", "pipelines")
)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
SOURCES = [file for part in ("miners", "processors", "operations", "shared") for file in (ROOT / part).rglob("*.py")]

MADE_LATER = {"local.settings.json", "my-pipelines/shop.yaml", "output/"}
"""Files that the docs name and that are made by a command or a reader."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def unquoted(cell: str) -> str:
    return cell.strip("`")


# Settings


def test_the_settings_page_is_what_the_settings_say():
    """When this fails: python -m devtools.settings_reference > docs/settings.md"""
    assert (ROOT / "docs" / "settings.md").read_text() == reference()


def test_every_sample_setting_is_documented():
    """A setting in local.settings.sample.json that nobody reads would mislead whoever copies it."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    known = {field.alias for field in Settings.model_fields.values()} | FOR_THE_HOST.keys()
    assert sample
    assert sample.keys() <= known


@each_page
def test_every_name_in_capitals_is_one_of_the_project(page: Path):
    """Settings, variables and constants that the docs name occur in the code."""
    code_files = [*SOURCES, *ROOT.glob("devtools/**/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "Makefile"]
    text = "\n".join(file.read_text() for file in code_files)
    names = {name for name in markdown.code(page.read_text()) if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", name)}
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


# Functions, queues and tables


REGISTERED = """
import json
from function_app import app
found = [(each.get_function_name(), each.get_trigger().get_dict_repr()) for each in app.get_functions()]
print(json.dumps(found, default=lambda choice: choice.value))
"""


def registered_functions() -> dict[str, str]:
    """Name and trigger of each function. In a process of its own: the library lets an app be asked only once."""
    done = subprocess.run([sys.executable, "-c", REGISTERED], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name: _trigger(binding) for name, binding in json.loads(done.stdout)}


def _trigger(binding: dict[str, Any]) -> str:
    match binding["type"]:
        case "timerTrigger":
            return f"timer `{binding['schedule']}`"
        case "serviceBusTrigger":
            return f"queue `{binding['queueName']}`"
        case "httpTrigger":
            return f"HTTP `{'/'.join(binding['methods'])} /api/{binding['route']}`"
    raise AssertionError(f"found a trigger that this test does not know: {binding['type']}")


def test_every_function_and_its_trigger_are_documented():
    documented = markdown.table(ARCHITECTURE, "Functions")
    names = map(unquoted, documented.column("function"))
    assert dict(zip(names, documented.column("trigger"), strict=True)) == registered_functions()


def test_every_queue_and_its_setting_are_documented():
    documented = markdown.table(ARCHITECTURE, "Functions", 1)
    rows = zip(map(unquoted, documented.column("setting")), map(unquoted, documented.column("queue")), strict=True)
    settings = {field.alias: field.default for field in Settings.model_fields.values()}
    assert dict(rows) == {name: value for name, value in settings.items() if str(name).startswith("QUEUE_")}


def test_the_properties_of_the_queues_are_as_documented():
    """Thirty seconds of lock, ten deliveries, fourteen days, duplicates over one minute."""
    assert "lock a message for 30 seconds, dead-letter it after 10 deliveries or 14 days" in ARCHITECTURE
    assert "detect duplicates over one\nminute" in ARCHITECTURE
    (namespace,) = json.loads(QUEUES_FILE.read_text())["UserConfig"]["Namespaces"]
    for queue in namespace["Queues"]:
        properties = queue["Properties"]
        assert properties["LockDuration"] == "PT30S"
        assert properties["MaxDeliveryCount"] == 10
        assert properties["DefaultMessageTimeToLive"] == "P14D"
        assert properties["DeadLetteringOnMessageExpiration"]
        assert properties["RequiresDuplicateDetection"]
        assert properties["DuplicateDetectionHistoryTimeWindow"] == "PT1M"


def test_every_table_is_documented():
    documented = markdown.table(ARCHITECTURE, "Where things stand").column("table")
    assert list(map(unquoted, documented)) == list(TABLES)


# Pipeline files


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case None:
            return "none"
        case "":
            return '`""`'
        case ():
            return "`[]`"
        case bool():
            return f"`{str(field.default).lower()}`"
        case Spec():
            return f"`{field.default.model_dump(exclude_defaults=True)}`"
        case timedelta():
            return f"`{field.default.total_seconds():g}s`"
        case tuple(values):
            return f"`[{', '.join(values)}]`"
        case value:
            return f"`{value}`"


def _choices(field: FieldInfo) -> list[str]:
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        return [str(choice.value) for choice in field.annotation]
    return []


@pytest.mark.parametrize(("heading", "model"), [("The file", Pipeline), *models().items()])
def test_every_option_of_pipeline_files_is_documented(heading: str, model: type[Spec]):
    """Each with its default, and with the values to choose from where there are such."""
    documented = markdown.table(PIPELINES, heading)
    rows = dict(zip(map(unquoted, documented.column("option")), documented.rows, strict=True))
    assert rows.keys() == options(model).keys()
    for name, field in options(model).items():
        assert rows[name][documented.columns.index("default")] == _default(field), name
        kind = rows[name][documented.columns.index("type")]
        assert all(f"`{choice}`" in kind for choice in _choices(field)), name


def test_no_model_of_pipeline_files_is_left_out():
    """`models`, which the test above goes by, holds every model there is but what models have in common."""
    below = [*Spec.__subclasses__(), *(each for kind in Spec.__subclasses__() for each in kind.__subclasses__())]
    assert {each for each in below if not each.__subclasses__()} == {Pipeline, *models().values()}


# Failures


def _retried(kind: ErrorKind) -> str:
    if kind is ErrorKind.UNKNOWN:
        return "by redelivery"
    retry = RETRIES.get(kind)
    return f"{retry.times} times, from {retry.first:g} s to {retry.cap:g} s" if retry else "never"


def _dead_letter(kind: ErrorKind) -> str:
    policy = DEAD_LETTERS[kind]
    return f"replayed {policy.times} times, first after {policy.after:g} s" if isinstance(policy, Replay) else "parked"


def test_every_kind_of_error_is_documented_with_what_is_done_about_it():
    documented = markdown.table(OPERATIONS, "What happens to a failure")
    said = {unquoted(kind): rest for kind, _, *rest in documented.rows}
    assert said == {str(kind): [_retried(kind), _dead_letter(kind)] for kind in ErrorKind}


def test_every_reason_of_a_parked_run_is_documented():
    """Those that go on by themselves apart from those that need somebody."""
    rows = markdown.table(OPERATIONS, "Parked runs").rows
    by_itself = {reason for reasons, how in rows if "is due again" in how for reason in markdown.code(reasons)}
    by_hand = {reason for reasons, how in rows if "is due again" not in how for reason in markdown.code(reasons)}
    cured = CURED_BY_TIME | CURED_BY_USER
    assert by_itself == cured
    assert by_hand == {str(kind) for kind in ErrorKind} - cured | {"pipeline_unknown"}


# Log lines


def _outcomes() -> Iterator[tuple[str, set[str]]]:
    """What each `Outcome(…)` of miners and processors says, and the names of its facts."""
    for file in SOURCES:
        if file.parent.name in {"miners", "processors"}:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Outcome":
                    yield ast.literal_eval(node.args[0]), {each.arg for each in node.keywords if each.arg}


def _facts_by_what(pairs: Iterator[tuple[str, set[str]]]) -> dict[str, set[str]]:
    facts: dict[str, set[str]] = {}
    for what, names in pairs:
        facts[what] = facts.get(what, set()) | names
    return facts


def test_every_log_line_is_documented():
    """Each `what`, with its facts; those of the timers are counts, which have no fixed names in the code."""
    documented = markdown.table(OPERATIONS, "Log lines")
    said = _facts_by_what((unquoted(row[1]), set(markdown.code(row[3]))) for row in documented.rows)
    written = _facts_by_what(_outcomes()) | {"failed": {"error"}}
    assert said.keys() == written.keys()
    counted = {"scheduled", "reconciled", "compacted"}
    assert {what: facts for what, facts in said.items() if facts != written[what]}.keys() <= counted


# Commands


def _commands(command: Any, path: str = "headframe") -> Iterator[tuple[str, set[str]]]:
    """Each command that does something, and its options."""
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from _commands(each, f"{path} {name}")
    else:
        yield path, {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}


COMMANDS = dict(_commands(typer.main.get_command(command_line)))
GROUPS = {command.rpartition(" ")[0] for command in COMMANDS}
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _lines(page: str) -> Iterator[str]:
    """What a reader might type: shell lines and code."""
    yield from markdown.code(page)
    for block in markdown.blocks(page):
        if block.language == "sh":
            yield from block.text.splitlines()


def test_every_command_is_documented():
    documented = markdown.table(OPERATIONS, "Commands").column("command")
    assert set(map(unquoted, documented)) == COMMANDS.keys()


def test_every_make_target_is_documented():
    documented = markdown.table(CONTRIBUTING, "Set-up").column("command")
    assert {unquoted(each).removeprefix("make ") for each in documented} == TARGETS


@each_page
def test_every_headframe_command_that_is_shown_exists(page: Path):
    """With the options that are shown. A group may be named alone, as in `headframe users`."""
    for line in _lines(page.read_text()):
        for typed in re.findall(r"headframe [a-z].*", line):
            words = shlex.split(typed, comments=True)
            names = [" ".join(words[:size]) for size in (2, 3)]
            command = next((name for name in names if name in COMMANDS), None)
            assert command is not None or typed in GROUPS, line
            shown = {word for word in words if word.startswith("--")}
            assert command is None or shown <= COMMANDS[command], line


@each_page
def test_every_make_target_that_is_shown_exists(page: Path):
    typed = [target for line in _lines(page.read_text()) for target in re.findall(r"(?:^|\s)make ([a-z-]+)", line)]
    assert set(typed) <= TARGETS


@each_page
def test_every_module_that_is_run_exists(page: Path):
    modules = re.findall(r"python -m ([\w.]+)", page.read_text())
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


# Links and files


@each_page
def test_every_link_leads_somewhere(page: Path):
    """To a file or folder of the project, and to a heading of it. The internet is not asked."""
    for link in markdown.links(page.read_text()):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in markdown.anchors(target.read_text()), link


@each_page
def test_every_file_that_is_named_exists(page: Path):
    named = re.compile(r"[\w.-]+(/[\w.-]+)*\.(py|md|yaml|json|toml|txt)|[a-z_.]+(/[\w.-]+)*/")
    files = {name for name in markdown.code(page.read_text()) if named.fullmatch(name)}
    assert {name for name in files - MADE_LATER if not (ROOT / name).exists() and name != "blueprint.py"} == set()


def test_decisions_are_numbered_and_short():
    """One after the other from 0001, at most 40 lines each."""
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [file.name[:4] for file in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    lengths: dict[str, Any] = {file.name: len(file.read_text().splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > 40} == {}

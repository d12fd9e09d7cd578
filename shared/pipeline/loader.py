"""Pipeline files, read into specs. A mistake becomes one line: file, line, path, what was found, what is allowed."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.errors import InvalidPipeline
from shared.pipeline.spec import Pipeline

Location = tuple[str | int, ...]


def load_folder(folder: Path) -> dict[str, Pipeline]:
    """All pipelines of a folder by name. Raises InvalidPipeline with every mistake of every file."""
    if not folder.is_dir():
        raise InvalidPipeline(f"{folder}: found no folder, allowed: a folder of pipeline files (*.yaml)")
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise InvalidPipeline(f"{folder}: found no pipeline file, allowed: at least one *.yaml")
    pipelines: dict[str, Pipeline] = {}
    mistakes: list[str] = []
    for file in files:
        try:
            pipeline = load_file(file)
        except InvalidPipeline as error:
            mistakes.append(str(error))
            continue
        if pipeline.pipeline in pipelines:
            mistakes.append(
                f"{file}: pipeline: found {pipeline.pipeline!r}, which another file has; allowed: a name of its own"
            )
        pipelines[pipeline.pipeline] = pipeline
    if mistakes:
        raise InvalidPipeline("\n".join(mistakes))
    return pipelines


def load_file(file: Path) -> Pipeline:
    """One pipeline. Raises InvalidPipeline, a line per mistake."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPipeline(f"{file}: {error}, allowed: a readable UTF-8 file") from None
    return load_text(text, str(file))


def load_text(text: str, name: str) -> Pipeline:
    """One pipeline from the text of a file called `name`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidPipeline(f"{name}{_yaml_place(error)}: not YAML: {_first_line(error)}") from None
    lines: dict[Location, int] = {}
    mistakes = _note_lines(node, (), lines) if node is not None else []
    if mistakes:
        raise InvalidPipeline("\n".join(f"{name}:{line}: {what}" for line, what in mistakes))
    if not isinstance(data, dict):
        raise InvalidPipeline(f"{name}:1: found {_kind(data)}, allowed: a mapping with pipeline, source, streams")
    try:
        return Pipeline.model_validate(data)
    except ValidationError as error:
        raise InvalidPipeline("\n".join(_mistake(name, lines, found) for found in error.errors())) from None


def _note_lines(node: yaml.Node, path: Location, lines: dict[Location, int]) -> list[tuple[int, str]]:
    """Fill `lines` (path → 1-based line) and return keys that stand twice, which YAML itself lets pass."""
    lines[path] = node.start_mark.line + 1
    mistakes: list[tuple[int, str]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                mistakes.append((key.start_mark.line + 1, f"{_dotted(here)}: found the key twice, allowed: once"))
            mistakes += _note_lines(value, here, lines)
            lines[here] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            mistakes += _note_lines(value, (*path, index), lines)
    return mistakes


def _mistake(name: str, lines: dict[Location, int], found: Any) -> str:
    location = _without_tags(found["loc"], lines)
    known = location
    while known not in lines:
        known = known[:-1]
    what = _what(found)
    return f"{name}:{lines[known]}: {_dotted(location) or 'file'}: {what}"


def _without_tags(location: Location, lines: dict[Location, int]) -> Location:
    """pydantic names the chosen member of a union in the path; the file has no such step."""
    path: Location = ()
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if (*path, step) in lines or (last and not _is_tag(step)):
            path = (*path, step)
    return path


def _is_tag(step: str | int) -> bool:
    return isinstance(step, str) and ("[" in step or step in {"str", "int", "float", "bool"})


def _what(found: Any) -> str:
    kind, context = found["type"], found.get("ctx", {})
    value = found["input"]
    if kind == "extra_forbidden":
        return "found an unknown key, allowed: the keys of docs/pipelines.md"
    if kind == "missing":
        return "found nothing, allowed: this key must be there"
    if kind == "union_tag_invalid":
        return f"found {context['tag']!r}, allowed: {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return "found no type, allowed: a type"
    if kind == "value_error":
        message = str(context["error"])
        return (
            message
            if message.startswith(("found", "streams", "base_url", "allowed_origins"))
            else f"found {value!r}, {message}"
        )
    if kind in {"literal_error", "enum"}:
        return f"found {value!r}, allowed: {context['expected']}"
    return f"found {_kind(value)}, allowed: {found['msg'].removeprefix('Input should be ')}"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else repr(value)


def _dotted(path: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""


def _first_line(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]

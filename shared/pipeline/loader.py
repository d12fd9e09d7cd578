"""Pipeline files, read into specs. A mistake becomes one line: file, line, path, what was found, what is allowed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.errors import InvalidPipeline
from shared.pipeline.spec import Pipeline
from shared.pipeline.spec.places import Location, in_file, keys_at

ALLOWED = {
    "missing": "this key must be there",
    "invalid_key": "a text",
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "union_tag_not_found": "a mapping with a type",
}
"""What to put in place of pydantic's own words, by its type of error."""


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
    except OSError as error:
        raise InvalidPipeline(f"{file}: found {error.strerror}, allowed: a readable pipeline file") from None
    except UnicodeDecodeError:
        raise InvalidPipeline(f"{file}: found bytes that are not UTF-8, allowed: YAML in UTF-8") from None
    return load_text(text, str(file))


def load_text(text: str, name: str) -> Pipeline:
    """One pipeline from the text of a file called `name`."""
    lines: dict[Location, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        mistakes = _note_lines(node, (), lines) if node is not None else []
    except yaml.YAMLError as error:
        raise InvalidPipeline(f"{name}:{_yaml_line(error, text)}: not YAML: {_first_line(error)}") from None
    except RecursionError:
        raise InvalidPipeline(f"{name}:1: found endless or very deep nesting, allowed: plain values") from None
    if mistakes:
        raise InvalidPipeline("\n".join(f"{name}:{line}: {what}" for line, what in mistakes))
    if not isinstance(data, dict):
        raise InvalidPipeline(f"{name}:1: found {_kind(data)}, allowed: a mapping with pipeline, source, streams")
    try:
        return Pipeline.model_validate(data)
    except ValidationError as error:
        raise InvalidPipeline("\n".join(_mistakes(name, lines, error.errors()))) from None


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


def _mistakes(name: str, lines: dict[Location, int], errors: Sequence[Any]) -> Iterator[str]:
    """One line per place, in the order of the file.

    pydantic has an error per member of a union, and calls a list too short whose items it refused.
    """
    places: dict[Location, list[Any]] = {}
    for error in errors:
        places.setdefault(_in_file(error["loc"], lines), []).append(error)
    for location in sorted(places, key=lambda location: _line_of(location, lines)):
        found = places[location]
        below = any(len(other) > len(location) and other[: len(location)] == location for other in places)
        if not (below and found[0]["type"] == "too_short"):
            yield f"{name}:{_line_of(location, lines)}: {_dotted(location) or 'file'}: {_what(found)}"


def _line_of(location: Location, lines: dict[Location, int]) -> int:
    while location not in lines:
        location = location[:-1]
    return lines[location]


def _in_file(location: Location, lines: dict[Location, int]) -> Location:
    """pydantic's path as the file has it; a key that YAML reads as a number stands in `lines` as text.

    What may stand alone in a file is a list of one to pydantic: its number is no step of the file.
    """
    path: Location = ()
    for step in in_file(location):
        if (*path, str(step)) in lines:
            path = (*path, str(step))
        elif isinstance(step, str) or (*path, step) in lines:
            path = (*path, step)
    return path


def _what(errors: list[Any]) -> str:
    """What was found and what is allowed at one place; the members of a union are allowed one beside the other."""
    for error in errors:
        if error["type"] == "value_error":
            said = str(error["ctx"]["error"])
            return said if said.startswith("found") else f"found {error['input']!r}, {said}"
    allowed = dict.fromkeys(_allowed(error) for error in errors)
    return f"found {_found(errors[0])}, allowed: {' or '.join(allowed)}"


def _found(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "an unknown key"
        case "missing":
            return "nothing"
        case "union_tag_invalid":
            return repr(error["ctx"]["tag"])
        case "union_tag_not_found":
            return "no type" if isinstance(error["input"], dict) else _kind(error["input"])
        case "invalid_key":
            return f"the key {error['input']!r}"
        case _:
            return _kind(error["input"])


def _allowed(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return ", ".join(keys_at(error["loc"]))
        case "union_tag_invalid":
            return str(error["ctx"]["expected_tags"])
        case "too_short":
            return f"at least {error['ctx']['min_length']}"
        case kind:
            return ALLOWED.get(kind) or str(error["msg"]).removeprefix("Input should be ")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    return repr(value)


def _dotted(path: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _yaml_line(error: yaml.YAMLError, text: str) -> int:
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position) + 1
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1


def _first_line(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]

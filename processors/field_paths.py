"""Fields of a record, nested ones too, by the paths of `shared/pipeline/spec/field_path.py`. Pure.

A list on the way stands for each of its items. No record is changed: what is changed is a new one.
"""

from collections.abc import Callable
from typing import Any

from shared.pipeline.spec.field_path import steps

Record = dict[str, Any]
Change = Callable[[Record, str], None]
"""What is done with a field that is there, in a mapping that may be changed."""


def without(record: Record, paths: tuple[str, ...]) -> Record:
    """The record without these fields; a mapping that loses all of its fields stays."""
    return changed(record, paths, lambda inside, name: inside.__delitem__(name))


def changed(record: Record, paths: tuple[str, ...], change: Change) -> Record:
    for path in paths:
        record = _changed(record, steps(path), change)
    return record


def _changed(value: Any, path: tuple[str, ...], change: Change) -> Any:
    name, *rest = path
    if isinstance(value, list):
        return [_changed(each, path, change) for each in value]
    if not isinstance(value, dict) or name not in value:
        return value
    copy = dict(value)
    if rest:
        copy[name] = _changed(value[name], tuple(rest), change)
    else:
        change(copy, name)
    return copy

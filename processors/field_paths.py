"""Fields of a record, nested ones too, by the paths of `shared/pipeline/spec/field_path.py`. Pure.

A list on the way stands for each of its items. No record is changed: what is changed is a new one.
"""

from collections.abc import Callable
from typing import Any

from shared.errors import MalformedResponse
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


def only(record: Record, paths: tuple[str, ...]) -> Record:
    """The record with these fields alone, in its own order."""
    tree: dict[str, Any] = {}
    for path in sorted(map(steps, paths), key=len, reverse=True):  # whole fields come last and win
        inside = tree
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        inside[path[-1]] = {}
    chosen = _only(record, tree)
    return chosen if isinstance(chosen, dict) else {}


def moved(record: Record, places: dict[str, str]) -> Record:
    """The record with each field at its new place, whatever stood there; lists are not entered.

    All are taken out before any is put in, so two may change places. Raises MalformedResponse where a new place lies
    inside of what is no mapping.
    """
    taken = {new: found for old, new in places.items() if (found := _found(record, steps(old))) is not None}
    record = without(record, tuple(old for old, new in places.items() if new in taken))
    for new, (value,) in taken.items():
        record = _put(record, steps(new), value, new)
    return record


def _only(value: Any, tree: dict[str, Any]) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_only(each, tree) for each in value if isinstance(each, dict | list)]
    kept = [(name, each, tree[name]) for name, each in value.items() if name in tree]
    return {name: _only(each, below) for name, each, below in kept if not below or isinstance(each, dict | list)}


def _found(record: Record, path: tuple[str, ...]) -> tuple[Any] | None:
    value: Any = record
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return (value,)


def _put(inside: Record, path: tuple[str, ...], value: Any, place: str) -> Record:
    name, *rest = path
    if not rest:
        return inside | {name: value}
    below = inside.get(name, {})
    if not isinstance(below, dict):
        raise MalformedResponse(f"{place}: found {type(below).__name__} on the way, allowed: a mapping to put it into")
    return inside | {name: _put(below, tuple(rest), value, place)}

"""What the records of one stream pass along to the streams that they feed. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import MalformedResponse
from shared.pipeline.json_path import found_at
from shared.pipeline.numbers import SpeltNumber
from shared.pipeline.spec import Parent, Stream

Record = dict[str, Any]
Values = dict[str, Any]
"""What is passed along of one record, by name: texts, numbers, true and false."""

LONGEST_TEXT = 4096
"""Characters of a value: it becomes part of a URL or of a body."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What the records of one page pass along to the stream `child`: numbers `first` to `last` of their run."""

    child: str
    first: int
    values: tuple[Values, ...]

    @property
    def last(self) -> int:
        return self.first + len(self.values) - 1

    def halves(self) -> "tuple[Passed, Passed]":
        middle = len(self.values) // 2
        return (
            Passed(self.child, self.first, self.values[:middle]),
            Passed(self.child, self.first + middle, self.values[middle:]),
        )


Counts = Mapping[str, int]
"""How many records have been passed along, by stream."""


def encoded_counts(counts: Counts) -> str:
    return json.dumps(counts) if counts else ""


def decoded_counts(text: str) -> Counts:
    return json.loads(text) if text else {}


def passed_along(records: Iterable[Record], children: Iterable[Stream], before: Counts) -> tuple[Passed, ...]:
    """What these records pass along, where the run has passed along so many `before` them.

    Raises MalformedResponse for a value that no request can carry.
    """
    page = list(records)
    return tuple(
        Passed(child.name, before.get(child.name, 0), values)
        for child in children
        if child.parent is not None and (values := tuple(_each(page, child.parent)))
    )


def counted(before: Counts, passed: Iterable[Passed]) -> Counts:
    """How many have been passed along, these included."""
    return {**before, **{each.child: each.last + 1 for each in passed}}


def parent_scope(parent: Parent | None, values: Sequence[Values]) -> Values:
    """What `{parent.NAME}` stands for: the value, or with a batch size the list of them."""
    if parent is None or not values:
        return {}
    if parent.batch_size == 1:
        return values[0]
    return {name: [each[name] for each in values] for name in parent.input_mapping}


def with_parent_fields(records: list[Record], parent: Parent, values: Sequence[Values]) -> list[Record]:
    """The records with the fields that they take from their parent."""
    taken = {field: values[0][name] for field, name in parent.output_mapping.items()} if values else {}
    return [record | taken for record in records] if taken else records


def _each(records: list[Record], parent: Parent) -> Iterable[Values]:
    """A record that lacks one of the values has nothing to ask for."""
    for record in records:
        values = {name: _value(record, name, path) for name, path in parent.input_mapping.items()}
        if all(value is not None for value in values.values()):
            yield values


def _value(record: Record, name: str, path: str) -> Any:
    value = record.get(path) if path.isidentifier() else found_at(path, record)
    if isinstance(value, SpeltNumber):
        return value.text
    if value is not None and not isinstance(value, str | int | float):
        found = "a list" if isinstance(value, list) else "a mapping"
        raise MalformedResponse(f"input_mapping {name}: found {found} at {path}, allowed: a text, a number, a truth")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise MalformedResponse(f"input_mapping {name}: found {len(value)} characters, allowed: {LONGEST_TEXT}")
    return value

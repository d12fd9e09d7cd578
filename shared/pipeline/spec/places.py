"""Places in a pipeline file, as pydantic's paths lead to them."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shared.pipeline.spec.fields import Spec
from shared.pipeline.spec.pipeline import Pipeline

Location = tuple[str | int, ...]


def in_file(location: Sequence[str | int]) -> Location:
    """The path as the file has it: pydantic's names the chosen member of a union as a step of its own."""
    return tuple(step for step, _, is_written in _walk(location) if is_written)


def keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that are allowed beside the last step of `location`, which is pydantic's."""
    inside = [kind for _, kind, _ in _walk(location) if _is_model(kind)]
    return sorted(written_fields(inside[-1] if inside else Pipeline))


def written_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the name that a file gives them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models() -> dict[str, type[Spec]]:
    """Every part of the language by the key or the `type` that leads to it, in the order of the file."""
    found: dict[str, type[Spec]] = {}

    def note(name: str, kind: Any) -> None:
        for member in _members(kind):
            if _is_model(member) and member not in found.values():
                found[_tag(member) or name] = member
                for key, field in member.model_fields.items():
                    note(key, field.annotation)
            elif not _is_model(member):
                for inner in get_args(member):
                    note(name, inner)

    for key, field in Pipeline.model_fields.items():
        note(key, field.annotation)
    return found


def _walk(location: Sequence[str | int]) -> Iterator[tuple[str | int, Any, bool]]:
    """Each step, what it leads to, and whether the file has it."""
    kind: Any = Pipeline
    for step in location:
        kind, is_written = _followed(kind, step)
        yield step, kind, is_written


def _followed(kind: Any, step: str | int) -> tuple[Any, bool]:
    members = _members(kind)
    if len(members) > 1:
        return next((member for member in members if step in (_tag(member), _name(member))), Any), False
    only: Any = members[0] if members else Any
    if _is_model(only):
        field = written_fields(only).get(str(step))
        return (field.annotation if field else Any), True
    if get_origin(only) in (tuple, list):
        return get_args(only)[0], isinstance(step, int)
    if get_origin(only) is dict:
        return get_args(only)[1], step != "[key]"
    return Any, only is Any


def _members(kind: Any) -> list[Any]:
    """What a value may be, without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Union or type(kind).__name__ == "UnionType":
        return [member for each in get_args(kind) for member in _members(each)]
    return [] if kind is type(None) else [kind]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _tag(kind: Any) -> str | None:
    """The `type` by which a member of a union is chosen."""
    field = kind.model_fields.get("type") if _is_model(kind) else None
    return get_args(field.annotation)[0] if field and get_origin(field.annotation) is Literal else None


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))

"""Classes of yours that a pipeline file names: found, made once in a process, and called so that they can't hurt.

What each must have stands in `shared/pipeline/contracts.py`.
"""

import functools
import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from shared.errors import InvalidExtension, MalformedResponse, SourceError, TemporaryFailure
from shared.pipeline.spec import Custom, Pipeline

Kind = Literal["paginators", "auths", "transforms", "extractors", "outputs"]

METHODS: dict[Kind, tuple[str, ...]] = {
    "paginators": ("request", "next_cursor"),
    "auths": ("headers", "query"),
    "transforms": ("transformed",),
    "extractors": ("page",),
    "outputs": ("write",),
}
"""What a class must have, by the last part of its entry point group `headframe.KIND`."""


@dataclass(frozen=True, slots=True)
class PageSeen:
    """A page as it came: the cursor it was asked with, the whole body, the headers (lower case), the records."""

    cursor: str | None
    body: Any
    headers: Mapping[str, str]
    records: list[dict[str, Any]]


def extension(kind: Kind, custom: Custom) -> Any:
    """The one instance for this class and these options. Raises InvalidExtension, one or a group of them."""
    return _made(kind, custom.class_name, json.dumps(custom.options, default=str))


def unusable(pipeline: Pipeline) -> Iterator[tuple[tuple[str | int, ...], InvalidExtension]]:
    """Each mistake in a class that the pipeline names, and the place of that class as pydantic would give it."""
    for place, kind, custom in _named(pipeline):
        try:
            extension(kind, custom)
        except InvalidExtension as error:
            yield place, error
        except ExceptionGroup as group:
            yield from ((place, error) for error in group.exceptions if isinstance(error, InvalidExtension))


def _named(pipeline: Pipeline) -> Iterator[tuple[tuple[str | int, ...], Kind, Custom]]:
    if isinstance(pipeline.source.auth, Custom):
        yield ("source", "auth", "custom"), "auths", pipeline.source.auth
    for index, stream in enumerate(pipeline.streams):
        if isinstance(stream.paginator, Custom):
            yield ("streams", index, "paginator", "custom"), "paginators", stream.paginator
        if stream.extractor is not None:
            yield ("streams", index, "extractor"), "extractors", stream.extractor
        for number, transform in enumerate(stream.transforms):
            if isinstance(transform, Custom):
                yield ("streams", index, "transforms", number, "custom"), "transforms", transform
    for number, output in enumerate(pipeline.outputs):
        if isinstance(output, Custom):
            yield ("outputs", number, "custom"), "outputs", output


@contextmanager
def guarded(custom: Custom) -> Iterator[None]:
    """A mistake of the class is a page that can't be read: it stops one stream of one user. A connection that fails is
    temporary, as ours are.

    Only the kind of the error is told; its message may hold what a user has.
    """
    try:
        yield
    except SourceError:
        raise
    except (ConnectionError, TimeoutError) as error:
        raise TemporaryFailure(f"{custom.class_name}: the connection failed: {type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001 - a class of somebody's may raise anything
        raise MalformedResponse(f"{custom.class_name}: {type(error).__name__}") from None


def required(custom: Custom, found: Any, kind: type | tuple[type, ...]) -> Any:
    """`found`, which a method answered. Raises MalformedResponse for another kind of value."""
    if not isinstance(found, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        allowed = " or ".join("None" if each is type(None) else each.__name__ for each in kinds)
        raise MalformedResponse(f"{custom.class_name}: found {type(found).__name__}, allowed: {allowed}")
    return found


@functools.cache
def _made(kind: Kind, name: str, options_as_json: str) -> Any:
    cls = _found_class(kind, name)
    missing = [method for method in METHODS[kind] if not callable(getattr(cls, method, None))]
    if missing:
        allowed = f"a class with {' and '.join(METHODS[kind])}"
        raise InvalidExtension(f"found {name} without {' and '.join(missing)}, allowed: {allowed}", "class")
    options = _checked(getattr(cls, "Options", None), json.loads(options_as_json))
    try:
        return cls(options)
    except Exception as error:  # noqa: BLE001 - a class of somebody's may raise anything
        raise InvalidExtension(f"found what {name} refuses: {type(error).__name__}: {error}", "options") from None


def _checked(model: Any, options: Any) -> Any:
    """As the model that the class names, or as they are. Raises a group of InvalidExtension, one per mistake."""
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        return options
    try:
        return model.model_validate(options)
    except ValidationError as refused:
        found = [InvalidExtension(_what(error, model), "options", *error["loc"]) for error in refused.errors()]
        raise ExceptionGroup("options", found) from None


def _what(error: Any, model: type[BaseModel]) -> str:
    match error["type"]:
        case "missing":
            return "found nothing, allowed: this key must be there"
        case "extra_forbidden":
            return f"found an unknown key, allowed: {', '.join(sorted(model.model_fields))}"
        case _:
            message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
            return f"found {error['input']!r}, allowed: {message}"


def _found_class(kind: Kind, name: str) -> Any:
    module_name, _, class_name = name.partition(":")
    if not class_name:
        return _offered(kind, name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        where = "allowed: one in the folder that holds the folder of pipeline files, or an installed one"
        raise InvalidExtension(f"found no module {error.name!r}, {where}", "class") from None
    except Exception as error:  # noqa: BLE001 - a class of somebody's may raise anything
        raise InvalidExtension(f"found a module that fails: {type(error).__name__}: {error}", "class") from None
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [
            each.__name__ for _, each in inspect.getmembers(module, inspect.isclass) if _is_of(each, module_name)
        ]
        allowed = ", ".join(f"{module_name}:{each}" for each in classes) or "a module that has classes"
        raise InvalidExtension(f"found no class {class_name!r} in {module_name}, allowed: {allowed}", "class")
    return found


def _offered(kind: Kind, name: str) -> Any:
    offered = {each.name: each for each in entry_points(group=f"headframe.{kind}")}
    if name not in offered:
        allowed = ", ".join([*sorted(offered), "my_module:MyClass"])
        raise InvalidExtension(f"found no entry point {name!r} in headframe.{kind}, allowed: {allowed}", "class")
    try:
        return offered[name].load()
    except Exception as error:  # noqa: BLE001 - a class of somebody's may raise anything
        raise InvalidExtension(f"found a module that fails: {type(error).__name__}: {error}", "class") from None


def _is_of(cls: type, module: str) -> bool:
    return cls.__module__ == module

"""What an app registers, as plain data that crosses from the worker, which imports the app, to the host."""

import importlib
import inspect
import os
import sys
import traceback
import typing
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import azure.functions

Binding = dict[str, Any]

TIMER, SERVICE_BUS, HTTP = "timerTrigger", "serviceBusTrigger", "httpTrigger"
RETURN = "$return"
SCRIPT_SETTING = "PYTHON_SCRIPT_FILE_NAME"


class AppError(Exception):
    """The app cannot be read. The message is one line: the file and the last line of the traceback."""


@dataclass(frozen=True)
class Registration:
    """One function: its bindings as in function.json, and what its Python signature tells.

    `hides_coroutine`: a plain decorator stands around an `async def`, so that the worker gets a coroutine and never
    awaits it. `returns`: the return annotation, when there is one other than None.
    """

    name: str
    bindings: tuple[Binding, ...]
    parameters: tuple[str, ...]
    hides_coroutine: bool
    returns: str | None

    @property
    def triggers(self) -> list[Binding]:
        return [binding for binding in self.bindings if str(binding["type"]).lower().endswith("trigger")]

    @property
    def trigger(self) -> Binding:
        return self.triggers[0]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Registration":
        return cls(**values | {key: tuple(values[key]) for key in ("bindings", "parameters")})


@dataclass(frozen=True)
class UserFunction:
    """A function of the app, with what is needed to call it."""

    registration: Registration
    call: Callable[..., Any]
    annotations: dict[str, Any]

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    @property
    def directory(self) -> str:
        return str(Path(inspect.getfile(self.call)).parent)


def index_app(script_root: Path) -> list[UserFunction]:
    """Import the app and read what it registers. Once per process: the library refuses a second reading.

    Raises AppError.
    """
    file = script_root / os.environ.get(SCRIPT_SETTING, "function_app.py")
    if not file.exists():
        raise AppError(f"{file}: not found; it must define app = FunctionApp()")
    try:
        return [_user_function(function) for function in _app(file).get_functions()]
    except AppError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise AppError(_last_line(error, script_root, file)) from error


def _app(file: Path) -> azure.functions.FunctionRegister:
    sys.path.insert(0, str(file.parent))
    module = importlib.import_module(file.stem)
    apps = {name: value for name, value in vars(module).items() if isinstance(value, azure.functions.FunctionRegister)}
    if len(apps) != 1:
        found = ", ".join(apps) or "none"
        raise AppError(f"{file}: expected one module-level name for the FunctionApp, found: {found}")
    return next(iter(apps.values()))


def _user_function(function: Any) -> UserFunction:
    call = function.get_user_function()
    annotations = typing.get_type_hints(call)
    returns = annotations.get("return", type(None))
    registration = Registration(
        name=function.get_function_name(),
        bindings=tuple(_plain(binding.get_dict_repr()) for binding in function.get_bindings()),
        parameters=tuple(inspect.signature(call).parameters),
        hides_coroutine=not inspect.iscoroutinefunction(call) and inspect.iscoroutinefunction(inspect.unwrap(call)),
        returns=None if returns is type(None) else getattr(returns, "__name__", str(returns)),
    )
    return UserFunction(registration, call, annotations)


def _plain(binding: dict[str, Any]) -> Binding:
    """The binding without its enums and without what was not given."""
    return {key: _plain_value(value) for key, value in binding.items() if value is not None}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain_value(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, dict)) else str(value)


def _last_line(error: BaseException, script_root: Path, file: Path) -> str:
    """The innermost place inside the app, and what went wrong there."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename.startswith(str(script_root))]
    if isinstance(error, SyntaxError) and error.filename:
        places = [f"{error.filename}:{error.lineno}"]
    summary = traceback.format_exception_only(error)[-1].strip()
    return f"{places[-1] if places else file}: {summary}"

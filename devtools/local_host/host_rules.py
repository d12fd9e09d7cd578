"""What the real host refuses and a Python worker does not look at.

Microsoft's worker engine judges signatures and annotations; schedules, names, settings and routes are judged by the
host, in Azure only after the deployment. Here they are judged before anything starts, one line per mistake.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from devtools.local_host.host_json import HostOptions
from devtools.local_host.ncrontab import parse_schedule
from devtools.local_host.registrations import HTTP, RETURN, SERVICE_BUS, TIMER, Binding, Registration
from devtools.local_host.routes import RouteError, aiohttp_path, http_methods, route_of
from devtools.local_host.settings import AppSettings, UnresolvedSettingError

NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
KNOWN_BINDINGS = (TIMER, SERVICE_BUS, HTTP, "http")
DEAD_LETTERS = "/$deadletterqueue"
QUEUE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._/\-]{0,258}[a-z0-9])?", re.IGNORECASE)
RUNTIME_SETTING = "FUNCTIONS_WORKER_RUNTIME"
STORAGE_SETTING = "AzureWebJobsStorage"

Rule = Callable[[Registration, AppSettings, datetime], Iterator[str]]


def mistakes(
    functions: Sequence[Registration], settings: AppSettings, options: HostOptions, now: datetime
) -> list[str]:
    """All mistakes of the app and its settings, each one line; empty when the real host would start."""
    found = [*_app_mistakes(functions, settings, options)]
    for function in functions:
        wrong_bindings = list(_bindings(function, settings, now))
        # The other rules read the trigger, so they need one they know.
        rules = () if wrong_bindings else RULES
        lines = wrong_bindings + [line for rule in rules for line in rule(function, settings, now)]
        found += [f"function {function.name}: {line}" for line in lines]
    return found or [*_route_conflicts(functions)]


def _app_mistakes(functions: Sequence[Registration], settings: AppSettings, options: HostOptions) -> Iterator[str]:
    if not functions:
        yield "the app registers no function"
    runtime = settings.get(RUNTIME_SETTING)
    if runtime != "python":
        yield f"{RUNTIME_SETTING} is {runtime or 'not set'}, allowed: python"
    names: dict[str, str] = {}
    for function in functions:
        if (known := names.setdefault(function.name.lower(), function.name)) != function.name:
            yield f"functions {known} and {function.name}: names must differ in more than letter case"
    kinds = {binding["type"] for function in functions for binding in function.bindings}
    if kinds & {TIMER, SERVICE_BUS} and not settings.has(STORAGE_SETTING):
        yield f"{STORAGE_SETTING} is not set; every trigger but HTTP needs it"
    if SERVICE_BUS in kinds and not options.has_extension_bundle:
        yield "host.json: extensionBundle is missing; without it the host knows no serviceBusTrigger"


def _bindings(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    for binding in function.bindings:
        if binding["type"] not in KNOWN_BINDINGS:
            yield f"binding type {binding['type']!r}: the local host knows {', '.join(KNOWN_BINDINGS)}"
    if len(function.triggers) != 1:
        yield f"found {len(function.triggers)} triggers, allowed: exactly one"


def _name(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    if NAME.fullmatch(function.name) is None:
        yield "its name must begin with a letter and hold at most 128 letters, digits, _ and -"


def _signature(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    bound = {binding["name"] for binding in function.bindings} - {RETURN}
    declared = set(function.parameters) - {"context"}
    for name in sorted(declared - bound):
        yield f"parameter {name!r} is bound to nothing"
    for name in sorted(bound - declared):
        yield f"binding {name!r} has no parameter in the function"
    if function.hides_coroutine:
        yield "a plain decorator stands around its `async def`, so every call would return a coroutine"
    if function.returns is not None and RETURN not in {binding["name"] for binding in function.bindings}:
        yield f"it returns {function.returns}, allowed: None (its trigger takes no answer)"


def _schedule(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    if function.trigger["type"] != TIMER:
        return
    schedule = resolved(function.trigger, "schedule", settings)
    try:
        if schedule is not None:
            parse_schedule(schedule, now)
    except ValueError as error:
        yield f"schedule {schedule!r}: {error}"


def _queue(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    trigger = function.trigger
    if trigger["type"] != SERVICE_BUS:
        return
    if "queueName" not in trigger:
        yield "the local host knows Service Bus queues, not topics"
        return
    queue = resolved(trigger, "queueName", settings)
    if queue is not None and QUEUE_NAME.fullmatch(split_queue(queue)[0]) is None:
        yield f"queueName {queue!r}: allowed are 1 to 260 letters, digits, . _ - and /"
    if trigger.get("isSessionsEnabled"):
        yield "the local host knows no sessions"
    if str(trigger.get("cardinality", "one")).lower() != "one":
        yield "cardinality many: one failing message would abandon the whole batch; allowed: one"
    yield from _connection(trigger, settings)


def _connection(trigger: Binding, settings: AppSettings) -> Iterator[str]:
    name = trigger.get("connection") or "ServiceBus"
    connection = settings.connection(name)
    if connection is None:
        yield f"connection {name!r}: neither {name} nor {name}__fullyQualifiedNamespace is set"
    elif connection.connection_string is not None and "endpoint=" not in connection.connection_string.lower():
        yield f"connection {name!r}: the setting {connection.setting} is no connection string (Endpoint=sb://…)"


def _route(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    if function.trigger["type"] != HTTP:
        return
    try:
        aiohttp_path(route_of(function))
        http_methods(function)
    except RouteError as error:
        yield str(error)


def _references(function: Registration, settings: AppSettings, now: datetime) -> Iterator[str]:
    """Every `%NAME%` of every binding."""
    for binding in function.bindings:
        for key, value in binding.items():
            try:
                settings.resolve(value if isinstance(value, str) else "")
            except UnresolvedSettingError as missing:
                yield f"{key} {value!r}: the setting {missing} is not set"


RULES: tuple[Rule, ...] = (_name, _signature, _references, _schedule, _queue, _route)


def resolved(binding: Binding, key: str, settings: AppSettings) -> str | None:
    """A binding's text with its settings put in; None when one is missing, which `_references` tells."""
    try:
        return settings.resolve(str(binding.get(key, "")))
    except UnresolvedSettingError:
        return None


def split_queue(queue: str) -> tuple[str, bool]:
    """The queue's name, and whether its dead letters are meant."""
    if queue.lower().endswith(DEAD_LETTERS):
        return queue[: -len(DEAD_LETTERS)], True
    return queue, False


def _route_conflicts(functions: Sequence[Registration]) -> Iterator[str]:
    taken: dict[tuple[str, str], str] = {}
    for function in functions:
        if function.trigger["type"] == HTTP:
            for method in http_methods(function):
                key = (method, aiohttp_path(route_of(function)).lower())
                if (other := taken.setdefault(key, function.name)) != function.name:
                    yield f"functions {other} and {function.name}: both answer {method} {route_of(function)!r}"

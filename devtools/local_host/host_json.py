"""host.json: the part of it that a local run follows, with the defaults of the real host."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.local_host.errors import HostError

FILE_NAME = "host.json"
TIME_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d\d?):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.\d+)?")
UNLIMITED = "-1"
CALLS_PER_CORE = 16
LOG_LEVELS = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "information": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "none": "CRITICAL",
}


@dataclass(frozen=True)
class ServiceBusOptions:
    """Times in seconds; `max_concurrent_calls` is per function."""

    prefetch_count: int
    max_concurrent_calls: int
    max_auto_lock_renewal: float


@dataclass(frozen=True)
class HostOptions:
    """`function_timeout` in seconds, None for no limit; `route_prefix` without slashes at its ends."""

    function_timeout: float | None
    route_prefix: str
    service_bus: ServiceBusOptions
    has_extension_bundle: bool
    log_level: str


def load_host_options(script_root: Path) -> HostOptions:
    """Read host.json. Raises HostError naming the key, what was found and what is allowed."""
    file = script_root / FILE_NAME
    if not file.exists():
        raise HostError(f"{file}: not found; start in the folder of the function app or give --script-root")
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise HostError(f"{file}: not JSON: {error}") from None
    return parse_host_options(content)


def parse_host_options(content: Any) -> HostOptions:
    if not isinstance(content, dict) or content.get("version") != "2.0":
        raise HostError(f'{FILE_NAME}: "version" must be "2.0"')
    prefix = _at(content, "extensions.http.routePrefix", "api")
    level = str(_at(content, "logging.logLevel.default", "Information"))
    if level.lower() not in LOG_LEVELS:
        raise HostError(f"{FILE_NAME}: logging.logLevel.default is {level!r}, allowed: {', '.join(LOG_LEVELS)}")
    return HostOptions(
        function_timeout=_function_timeout(_at(content, "functionTimeout", "00:30:00")),
        route_prefix=str(prefix).strip("/"),
        service_bus=_service_bus(content),
        has_extension_bundle="extensionBundle" in content,
        log_level=LOG_LEVELS[level.lower()],
    )


def _service_bus(content: Mapping[str, Any]) -> ServiceBusOptions:
    section = "extensions.serviceBus."
    if _at(content, section + "autoCompleteMessages", True) is not True:
        raise HostError(f"{FILE_NAME}: {section}autoCompleteMessages must be true: a Python function cannot complete")
    calls = CALLS_PER_CORE * (os.cpu_count() or 1)
    renewal = section + "maxAutoLockRenewalDuration"
    return ServiceBusOptions(
        prefetch_count=_integer(content, section + "prefetchCount", 0, least=0),
        max_concurrent_calls=_integer(content, section + "maxConcurrentCalls", calls, least=1),
        max_auto_lock_renewal=parse_time_span(_at(content, renewal, "00:05:00"), renewal),
    )


def _at(content: Mapping[str, Any], path: str, default: Any) -> Any:
    value: Any = content
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return default
        value = value[key]
    return value


def _integer(content: Mapping[str, Any], path: str, default: int, least: int) -> int:
    value = _at(content, path, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise HostError(f"{FILE_NAME}: {path} is {value!r}, allowed: a whole number from {least}")
    return value


def _function_timeout(value: object) -> float | None:
    return None if value == UNLIMITED else parse_time_span(value, "functionTimeout")


def parse_time_span(value: object, key: str) -> float:
    """Seconds of a .NET time span, `hh:mm:ss` or `d.hh:mm:ss`."""
    match = TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["minutes"]) > 59 or int(match["seconds"]) > 59 or int(match["hours"]) > 23:
        raise HostError(f"{FILE_NAME}: {key} is {value!r}, allowed: a time span such as 00:05:00")
    hours = int(match["days"] or 0) * 24 + int(match["hours"])
    return float(hours * 3600 + int(match["minutes"]) * 60 + int(match["seconds"]))

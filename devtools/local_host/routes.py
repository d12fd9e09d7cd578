"""Routes of HTTP functions: ASP.NET templates as aiohttp paths."""

import re

from devtools.local_host.registrations import Registration

PARAMETER = re.compile(r"\{(?P<rest>\*?)(?P<name>[A-Za-z_]\w*)(?::(?P<kind>\w+))?\}")
KINDS = {
    "int": r"[+-]?\d+",
    "long": r"[+-]?\d+",
    "alpha": "[A-Za-z]+",
    "guid": "[0-9A-Fa-f-]{36}",
    "bool": "true|false",
}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")
RESERVED = ("admin", "runtime")


class RouteError(ValueError):
    """A route or method the local host cannot serve; one line."""


def route_of(function: Registration) -> str:
    """The route as written; a function without one answers at its name."""
    return str(function.trigger.get("route") or function.name)


def http_methods(function: Registration) -> list[str]:
    """In upper case. Raises RouteError."""
    given = function.trigger.get("methods") or ["GET", "POST"]
    methods = [str(method).upper() for method in given]
    if unknown := set(methods) - set(METHODS):
        raise RouteError(f"method {unknown.pop()!r}, allowed: {', '.join(METHODS)}")
    return methods


def aiohttp_path(route: str) -> str:
    """`users/{id:int}/{*rest}` as a path of aiohttp. Raises RouteError."""
    if route.startswith(("/", "~")) or route.split("/")[0].lower() in RESERVED:
        raise RouteError(f"route {route!r} must not begin with / or ~, nor with {' or '.join(RESERVED)}")
    if set(PARAMETER.sub("", route)) & set("{}?*"):
        raise RouteError(f"route {route!r}: the local host knows {{name}}, {{name:kind}} and {{*rest}}")
    return PARAMETER.sub(_segment, route)


def _segment(match: re.Match[str]) -> str:
    name, kind = match["name"], match["kind"]
    if match["rest"]:
        return f"{{{name}:.*}}"
    if kind is None:
        return f"{{{name}}}"
    if kind not in KINDS:
        raise RouteError(f"route parameter {match[0]}: kind {kind!r}, allowed: {', '.join(KINDS)}")
    return f"{{{name}:{KINDS[kind]}}}"

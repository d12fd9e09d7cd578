"""The HTTP side of the host: HTTP functions under the route prefix, and the real host's admin endpoints.

Keys are not asked for: every authLevel is open to this machine, as with `func start`.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from devtools.local_host.registrations import HTTP, SERVICE_BUS, Registration
from devtools.local_host.routes import aiohttp_path, http_methods, route_of
from devtools.local_host.timers import NEVER
from devtools.local_host.trigger_data import TriggerData, timer_data, typed_message_data
from devtools.local_host.worker_process import Outcome

log = logging.getLogger(__name__)

LARGEST_BODY = 100 * 1024 * 1024
"""Bytes; the limit of the real host."""
HOP_BY_HOP = ("content-length", "transfer-encoding", "connection")

Invoke = Callable[[str, TriggerData], Awaitable[Outcome]]


class HttpServer:
    """Answers on a socket that is listening already. `start_function` runs a function beside the request."""

    def __init__(
        self,
        functions: Sequence[Registration],
        route_prefix: str,
        invoke: Invoke,
        start_function: Callable[[Registration, TriggerData], None],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._prefix = f"/{route_prefix}" if route_prefix else ""
        self._invoke = invoke
        self._start_function = start_function
        self._status = status

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/admin/host/status", self._host_status)
        app.router.add_get("/admin/functions", self._list_functions)
        app.router.add_get("/admin/functions/{name}", self._describe_function)
        app.router.add_post("/admin/functions/{name}", self._run_function)
        for function in self._functions.values():
            if function.trigger["type"] == HTTP:
                for method in http_methods(function):
                    app.router.add_route(method, self._path(function), self._handler(function))
        return app

    def _path(self, function: Registration) -> str:
        return f"{self._prefix}/{aiohttp_path(route_of(function))}"

    def _handler(self, function: Registration) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            data = TriggerData("http", await request.read(), http=_description(request))
            outcome = await self._invoke(function.name, data)
            return _response(outcome)

        return handle

    async def _host_status(self, request: web.Request) -> web.Response:
        return web.json_response(self._status())

    async def _list_functions(self, request: web.Request) -> web.Response:
        return web.json_response([self._description(request, function) for function in self._functions.values()])

    async def _describe_function(self, request: web.Request) -> web.Response:
        return web.json_response(self._description(request, self._named(request)))

    async def _run_function(self, request: web.Request) -> web.Response:
        """Run it now and answer at once, with `input` of the JSON body as its message or HTTP body."""
        function = self._named(request)
        self._start_function(function, typed_data(function, await _typed_input(request)))
        return web.Response(status=202)

    def _named(self, request: web.Request) -> Registration:
        function = self._functions.get(request.match_info["name"].lower())
        if function is None:
            raise web.HTTPNotFound(text=f"no function {request.match_info['name']!r}\n")
        return function

    def _description(self, request: web.Request, function: Registration) -> dict[str, Any]:
        url = f"{request.scheme}://{request.host}"
        is_http = function.trigger["type"] == HTTP
        return {
            "name": function.name,
            "config": {"name": function.name, "language": "python", "bindings": list(function.bindings)},
            "href": f"{url}/admin/functions/{function.name}",
            "invoke_url_template": f"{url}{self._prefix}/{route_of(function)}" if is_http else None,
            "language": "python",
        }


def typed_data(function: Registration, text: str) -> TriggerData:
    """What a function run by hand is handed: `text` as its message or HTTP body; timers are handed none."""
    trigger = function.trigger
    if trigger["type"] == SERVICE_BUS:
        return typed_message_data(text, is_binary(function))
    if trigger["type"] == HTTP:
        request = {"method": "POST", "url": "", "headers": {}, "params": {}, "query": {}}
        return TriggerData("http", text.encode(), http=request)
    return timer_data({"Last": NEVER, "Next": NEVER, "LastUpdated": NEVER}, past_due=False)


def is_binary(function: Registration) -> bool:
    return str(function.trigger.get("dataType", "")).lower() == "binary"


async def _typed_input(request: web.Request) -> str:
    body = await request.read()
    if not body.strip():
        return ""
    try:
        content = await request.json()
        given = content.get("input") or ""
    except (ValueError, AttributeError):
        raise web.HTTPBadRequest(text='expected a JSON object such as {"input": "text"}\n') from None
    return given if isinstance(given, str) else str(given)


def _description(request: web.Request) -> dict[str, Any]:
    """The request as the worker protocol has it. Of a repeated query parameter or header the values are joined."""
    return {
        "method": request.method,
        "url": str(request.url),
        "headers": {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
        "params": dict(request.match_info),
        "query": {name: ",".join(request.query.getall(name)) for name in request.query},
    }


def _response(outcome: Outcome) -> web.Response:
    """A failed function answers 500 without a body, as in Azure; its error is in the log."""
    if outcome.error is not None:
        return web.Response(status=500)
    response = web.Response(status=outcome.answer["status"], body=outcome.body)
    for name, value in outcome.answer["headers"]:
        if name.lower() not in HOP_BY_HOP:
            response.headers.popall("Content-Type", None) if name.lower() == "content-type" else None
            response.headers.add(name, value)
    return response

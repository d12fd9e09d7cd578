"""One invocation inside the worker: datum → converter → user function → converter → result.

Follows Microsoft's worker engine step by step; tests/integration/test_functions_conformance.py compares the two.
"""

import asyncio
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import azure.functions
from azure.functions import meta

from devtools.local_host.frames import Head
from devtools.local_host.registrations import HTTP, RETURN, UserFunction

CONTEXT = "context"
_invocation_of_thread = threading.local()


@dataclass(frozen=True)
class TraceContext:
    """W3C trace context of the invocation."""

    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    """No trigger of the local host has a retry policy, so this never counts."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True)
class InvocationContext:
    """What a function gets that asks for `context`: the attributes of azure.functions.Context."""

    invocation_id: str
    function_name: str
    function_directory: str
    trace_context: TraceContext
    retry_context: RetryContext
    thread_local_storage: threading.local


async def invoke(function: UserFunction, head: Head, body: bytes, threads: ThreadPoolExecutor) -> tuple[Head, bytes]:
    """Run the function once. Returns the result frame; whatever the function raises is told in it as `error`."""
    try:
        arguments = _arguments(function, head, body)
        returned = await _call(function, arguments, head["id"], threads)
        described, content = _described_return(function, returned)
    except Exception as error:  # noqa: BLE001 - whatever user code raises is the result of the invocation
        return _result(head, error=_summary(error), traceback="".join(traceback.format_exception(error))), b""
    return _result(head, **described), content


def _result(head: Head, **values: Any) -> Head:
    return {"kind": "result", "id": head["id"], **values}


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def _call(
    function: UserFunction, arguments: dict[str, Any], invocation_id: str, threads: ThreadPoolExecutor
) -> Any:
    _invocation_of_thread.invocation_id = invocation_id
    if function.is_async:
        return await function.call(**arguments)
    return await asyncio.get_running_loop().run_in_executor(
        threads, _call_on_thread, function, arguments, invocation_id
    )


def _call_on_thread(function: UserFunction, arguments: dict[str, Any], invocation_id: str) -> Any:
    _invocation_of_thread.invocation_id = invocation_id
    return function.call(**arguments)


def _arguments(function: UserFunction, head: Head, body: bytes) -> dict[str, Any]:
    trigger = function.registration.trigger
    arguments = {trigger["name"]: _trigger_value(function, head, body)}
    if CONTEXT in function.registration.parameters:
        arguments[CONTEXT] = _context(function, head)
    return arguments


def _trigger_value(function: UserFunction, head: Head, body: bytes) -> Any:
    trigger = function.registration.trigger
    datum = _http_datum(head["http"], body) if head["kind"] == "http" else _datum(head["kind"], body)
    if function.annotations.get(trigger["name"]) in (str, bytes):
        return datum.value
    converter = azure.functions.get_binding_registry().get(trigger["type"])
    metadata = {name: meta.Datum(value, kind) for name, (kind, value) in head["metadata"].items()}
    return converter.decode(datum, trigger_metadata=metadata)


def _datum(kind: str, body: bytes) -> meta.Datum:
    return meta.Datum(body if kind == "bytes" else body.decode(), kind)


def _http_datum(request: Mapping[str, Any], body: bytes) -> meta.Datum:
    value: dict[str, Any] = {name: meta.Datum(request[name], "string") for name in ("method", "url")}
    for group in ("headers", "params", "query"):
        value[group] = {name: meta.Datum(text, "string") for name, text in request[group].items()}
    return meta.Datum(value | {"body": meta.Datum(body, "bytes")}, "http")


def _context(function: UserFunction, head: Head) -> InvocationContext:
    return InvocationContext(
        invocation_id=head["id"],
        function_name=function.registration.name,
        function_directory=function.directory,
        trace_context=TraceContext(head["trace_parent"]),
        retry_context=RetryContext(),
        thread_local_storage=_invocation_of_thread,
    )


def _described_return(function: UserFunction, returned: Any) -> tuple[dict[str, Any], bytes]:
    """An HTTP answer as JSON and body; nothing for the other triggers, which may return nothing."""
    returns = any(binding["name"] == RETURN for binding in function.registration.bindings)
    if not returns:
        if returned is not None:
            raise RuntimeError(
                f"function {function.registration.name!r} without a $return binding returned a non-None value"
            )
        return {}, b""
    assert function.registration.trigger["type"] == HTTP
    return _http_answer(returned)


def _http_answer(returned: Any) -> tuple[dict[str, Any], bytes]:
    converter = azure.functions.get_binding_registry().get("http")
    try:
        datum = converter.encode(returned, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f"an HTTP function must return HttpResponse or str, returned {type(returned).__name__}"
        ) from None
    if datum.type == "string":
        return {
            "status": 200,
            "headers": [["Content-Type", "text/plain; charset=utf-8"]],
        }, datum.value.encode()
    headers = [[name, value.value] for name, value in datum.value["headers"].items()]
    cookies = [morsel.OutputString() for jar in datum.value["cookies"] or () for morsel in jar.values()]
    headers += [["Set-Cookie", cookie] for cookie in cookies]
    return {"status": int(datum.value["status_code"].value), "headers": headers}, datum.value["body"].value

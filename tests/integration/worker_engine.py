"""Drives Microsoft's own Python worker engine (azure-functions-runtime) without gRPC, as a program of its own.

    worker_engine.py judge                     < [{"folder", "settings", "host_json"}]   > [{"engine", "host"}]
    worker_engine.py invoke FOLDER             < [{"function", "kind", "body", "metadata", "http"}]   > [{"error"}]

The engine and azure.functions allow one app per process, so each app is judged in a fork. `engine` is what the engine
says against the app, None if nothing; `host` is what devtools/local_host/host_rules.py says.
"""

import asyncio
import base64
import json
import os
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions  # noqa: F401 - before the fork, so that each child has it loaded
import azure_functions_runtime as engine

from devtools.local_host.host_json import parse_host_options
from devtools.local_host.host_rules import mistakes
from devtools.local_host.registrations import AppError, index_app
from devtools.local_host.settings import AppSettings

TYPED_DATA_KINDS = ("http", "string", "bytes", "json")


class Message(SimpleNamespace):
    """Any message of the worker protocol: what it was made with are its fields."""

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - the name protobuf gives it
        if group == "rpc_data":
            return "data"
        return next((kind for kind in TYPED_DATA_KINDS if hasattr(self, kind)), None)


class Protos:
    """The protocol's messages, as far as the engine names them."""

    class BindingInfo(Message):
        undefined, inp, out, inout = 0, 0, 1, 2

    class StatusResult(Message):
        Failure, Success = 0, 1

    def __getattr__(self, name: str) -> type[Message]:
        if name == "TypedData":
            return TypedData
        return Message


class TypedData(Message):
    """Has no attribute `TypedData`, by which the engine tells a message from the module."""


def engine_request(**fields: Any) -> Any:
    """The two layers in which the engine expects a message."""
    return SimpleNamespace(request=SimpleNamespace(**fields), properties={"host": "127.0.0.1", "protos": Protos()})


async def load(folder: str) -> str | None:
    """Index the app. Returns what the engine says against it."""
    initial = Message(capabilities={}, function_app_directory=folder)
    response = await engine.worker_init_request(engine_request(worker_init_request=initial))
    if response.result.status != Protos.StatusResult.Success:
        return str(response.result.exception.message)
    metadata = await engine.functions_metadata_request(engine_request())
    for function in metadata.function_metadata_results or ():
        loading = Message(function_id=function.function_id)
        await engine.function_load_request(engine_request(function_load_request=loading))
    return None


async def invoke(folder: str, invocations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    refusal = await load(folder)
    assert refusal is None, refusal
    return [await invoke_one(invocation) for invocation in invocations]


async def invoke_one(invocation: dict[str, Any]) -> dict[str, Any]:
    body = base64.b64decode(invocation["body"])
    function_id = str(uuid.uuid5(uuid.NAMESPACE_OID, invocation["function"]))
    request = Message(
        invocation_id=invocation["id"],
        function_id=function_id,
        input_data=[Message(name=invocation["parameter"], data=typed_data(invocation, body))],
        trigger_metadata={name: TypedData(**{kind: value}) for name, (kind, value) in invocation["metadata"].items()},
        trace_context=Message(trace_parent=invocation["trace_parent"], trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
    )
    response = await engine.invocation_request(engine_request(invocation_request=request))
    failed = response.result.status != Protos.StatusResult.Success
    return {"error": response.result.exception.message if failed else None}


def typed_data(invocation: dict[str, Any], body: bytes) -> TypedData:
    kind = invocation["kind"]
    if kind == "http":
        return TypedData(http=Message(**invocation["http"], body=TypedData(bytes=body)))
    return TypedData(**{kind: body if kind == "bytes" else body.decode()})


def host_verdict(app: dict[str, Any]) -> list[str]:
    try:
        functions = [function.registration for function in index_app(Path(app["folder"]))]
    except AppError as error:
        return [str(error)]
    options = parse_host_options(app["host_json"])
    return mistakes(functions, AppSettings(app["settings"]), options, datetime.now(UTC))


def in_fork(judge: Callable[[], Any], folder: str) -> Any:
    """What `judge` returns in a process of its own, with the app's folder as its working directory."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.chdir(folder)
        sys.path.insert(0, folder)
        verdict = json.dumps(judge())
        os.write(writing, verdict.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


def judge(app: dict[str, Any]) -> dict[str, Any]:
    folder = app["folder"]
    return {
        "engine": in_fork(lambda: asyncio.run(load(folder)), folder),
        "host": in_fork(lambda: host_verdict(app), folder),
    }


def main() -> None:
    given = json.load(sys.stdin)
    if sys.argv[1] == "judge":
        answer: Any = [judge(app) for app in given]
    else:
        os.chdir(sys.argv[2])
        sys.path.insert(0, sys.argv[2])
        answer = asyncio.run(invoke(sys.argv[2], given))
    print(json.dumps(answer))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()

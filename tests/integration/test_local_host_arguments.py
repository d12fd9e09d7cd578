"""A function is handed the same by the local host's worker and by Microsoft's worker engine."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devtools.local_host.trigger_data import TriggerData, message_data, timer_data, typed_message_data
from devtools.local_host.worker_pool import WorkerPool
from devtools.local_host.worker_process import WorkerCommand
from tests.fakes.received_message import received_message
from tests.integration.engine_process import require_engine, run_engine

require_engine()

APP = """
import json, os
import azure.functions as func

app = func.FunctionApp()
MESSAGE = [name for name, value in vars(func.ServiceBusMessage).items() if isinstance(value, property)]
REQUEST = ("method", "url", "headers", "params", "route_params")
CONTEXT = ("invocation_id", "function_name", "function_directory")


def told(kind, value, names, **more):
    described = {name: plain(getattr(value, name)) for name in names} | more
    with open(os.environ["TOLD"], "a") as file:
        file.write(json.dumps([kind, type(value).__name__, described], sort_keys=True) + "\\n")


def plain(value):
    if hasattr(value, "items"):
        return {name: plain(part) for name, part in value.items()}
    if type(value).__name__ == "Datum":
        return [value.type, repr(value.value)]
    return repr(value)


def context_told(context):
    trace = {name: getattr(context.trace_context, name) for name in ("trace_parent", "trace_state", "attributes")}
    return {name: getattr(context, name) for name in CONTEXT} | trace | {
        "retry": context.retry_context.retry_count,
        "thread": context.thread_local_storage.invocation_id,
    }


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
async def tick(timer: func.TimerRequest, context: func.Context) -> None:
    told("timer", timer, ("past_due", "schedule_status", "schedule"), context=context_told(context))


@app.service_bus_queue_trigger(arg_name="message", queue_name="work", connection="SERVICE_BUS")
async def mine(message: func.ServiceBusMessage) -> None:
    told("message", message, MESSAGE, body=repr(message.get_body()))


@app.service_bus_queue_trigger(arg_name="message", queue_name="work/$deadletterqueue", connection="SERVICE_BUS")
def dead(message: func.ServiceBusMessage, context) -> None:
    told("dead letter", message, MESSAGE, body=repr(message.get_body()), context=context_told(context))


@app.service_bus_queue_trigger(arg_name="message", queue_name="text", connection="SERVICE_BUS")
async def text(message: str) -> None:
    told("text", message, (), body=message)


@app.route(route="users/{id}", methods=["POST"])
async def home(req: func.HttpRequest) -> func.HttpResponse:
    told("request", req, REQUEST, body=repr(req.get_body()), json=plain(req.get_json()))
    return func.HttpResponse("ok")


@app.service_bus_queue_trigger(arg_name="message", queue_name="wrong", connection="SERVICE_BUS")
async def returns(message: func.ServiceBusMessage):
    return "not allowed"
"""

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REASON = {"DeadLetterReason": "MaxDeliveryCountExceeded", "DeadLetterErrorDescription": "too often", "attempt": 3}
REQUEST = {
    "method": "POST",
    "url": "http://127.0.0.1:7071/api/users/7?x=1",
    "headers": {"content-type": "application/json", "x-a": "ä"},
    "params": {"id": "7"},
    "query": {"x": "1,2"},
}
INVOCATIONS: list[tuple[str, str, TriggerData]] = [
    ("tick", "timer", timer_data({"Last": NOON, "Next": NOON, "LastUpdated": NOON}, past_due=True)),
    ("mine", "message", message_data(received_message(b'{"page": "\xc3\xa9"}', earlier_deliveries=1), binary=False)),
    ("mine", "message", message_data(received_message(b"\xff\x00 bytes"), binary=True)),
    ("mine", "message", message_data(received_message(b"\xff\x00 bytes"), binary=False)),
    ("mine", "message", typed_message_data("typed", binary=False)),
    ("dead", "message", message_data(received_message(b"{}", properties=REASON), binary=False)),
    ("text", "message", message_data(received_message(b"plain"), binary=False)),
    ("home", "req", TriggerData("http", b'{"a": [1]}', http=REQUEST)),
]


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


async def local_errors(folder: Path, heads: list[dict[str, Any]], bodies: list[bytes], told: Path) -> list[str | None]:
    """Run the same frames through the local worker, one after the other."""
    pool = WorkerPool(WorkerCommand(folder, {"TOLD": str(told)}, "WARNING"), 1, function_timeout=60)
    await pool.start()
    try:
        worker = pool._workers[0]  # the frames are given, so that ids and traces are those the engine gets
        return [(await worker.invoke(head, body)).error for head, body in zip(heads, bodies, strict=True)]
    finally:
        await pool.close()


async def both(folder: Path, calls: list[tuple[str, str, TriggerData]]) -> tuple[list[Any], list[Any], list[str]]:
    """Errors of the engine, errors of the local worker, and the names of the files with what functions were told."""
    heads = [data.head(function) for function, _, data in calls]
    given = [
        head | {"parameter": parameter, "body": base64.b64encode(data.body).decode()}
        for head, (_, parameter, data) in zip(heads, calls, strict=True)
    ]
    told = [folder / "engine.jsonl", folder / "local.jsonl"]
    answers = run_engine("invoke", str(folder), given=given, environment={"TOLD": str(told[0])})
    ours = await local_errors(folder, heads, [data.body for _, _, data in calls], told[1])
    return [answer["error"] for answer in answers], ours, [file.read_text() for file in told if file.exists()]


async def test_both_hand_over_equal_arguments(app_folder: Path):
    """Timer, message, binary message, dead letter, text and request, with contexts, metadata and the types of all."""
    engine_errors, our_errors, told = await both(app_folder, INVOCATIONS)
    assert engine_errors == our_errors == [None] * len(INVOCATIONS)
    by_engine, by_us = told
    assert [json.loads(line) for line in by_us.splitlines()] == [json.loads(line) for line in by_engine.splitlines()]
    assert len(by_us.splitlines()) == len(INVOCATIONS)


async def test_a_dead_letters_reason_is_in_the_application_properties_only(app_folder: Path):
    _, _, told = await both(app_folder, [INVOCATIONS[5]])
    (_, _, message) = json.loads(told[1])
    assert message["application_properties"]["DeadLetterReason"] == "'MaxDeliveryCountExceeded'"
    assert message["application_properties"]["attempt"] == "3"
    assert message["dead_letter_reason"] == "None"
    assert message["enqueued_time_utc"] == "datetime.datetime(2026, 11, 22, 23, 15, 0, 250000)"
    assert message["sequence_number"] == str(2**53 + 1)


async def test_both_fail_a_queue_function_that_returns_something(app_folder: Path):
    engine_errors, our_errors, _ = await both(app_folder, [("returns", "message", typed_message_data("x", False))])
    assert "non-None value" in engine_errors[0]
    assert "non-None value" in our_errors[0]

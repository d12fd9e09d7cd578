"""The local host as a process, over small apps and a Service Bus emulator of its own."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)

from tests.integration.local_host_process import HOST_JSON, Emulator, RunningHost, is_running, wait_for

pytestmark = pytest.mark.stand_ins

HEAD = """
import asyncio, json, os, time
import azure.functions as func

app = func.FunctionApp()


def note(kind, value=None):
    with open(os.environ["EVENTS"], "a") as file:
        file.write(json.dumps([kind, value]) + "\\n")
"""

QUEUE_APP = (
    HEAD
    + """
@app.service_bus_queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="SERVICE_BUS")
async def mine(message: func.ServiceBusMessage) -> None:
    told = json.loads(message.get_body())
    note("began", [told, message.delivery_count])
    if message.delivery_count <= told.get("block", 0):
        time.sleep(600)
    if message.delivery_count <= told.get("sleeps", 0):
        await asyncio.sleep(told["seconds"])
    if told.get("fails"):
        raise ValueError("as told")
    note("ended", told)


@app.service_bus_queue_trigger(
    arg_name="message", queue_name="%QUEUE%/$deadletterqueue", connection="SERVICE_BUS"
)
async def dead(message: func.ServiceBusMessage) -> None:
    note("dead", [message.application_properties["DeadLetterReason"], message.dead_letter_reason])


@app.route(route="hello/{name}", methods=["GET", "POST"])
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    told = [req.route_params["name"], req.params.get("x"), req.get_body().decode()]
    return func.HttpResponse(json.dumps(told), status_code=201)


@app.route(route="broken")
def broken(req: func.HttpRequest) -> str:
    raise RuntimeError("in the log only")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def yearly(timer: func.TimerRequest) -> None:
    note("timer", timer.past_due)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def switched_off(timer: func.TimerRequest) -> None:
    note("must not run")
"""
)
QUEUES = tuple(f"work-{number}" for number in range(12))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), QUEUES, lock="PT5S").start()
    yield emulator
    emulator.kill()


@pytest.fixture(scope="module")
def queues() -> Iterator[str]:
    """Names: each test takes one of its own."""
    return iter(QUEUES)


@pytest.fixture
def queue(queues: Iterator[str]) -> str:
    return next(queues)


class Bus:
    """The emulator as another program sees it. Its links stay open: to close one takes the SDK a second."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self._senders: dict[str, ServiceBusSender] = {}
        self._receivers: dict[tuple[str, ServiceBusSubQueue | None], ServiceBusReceiver] = {}

    def send(self, queue: str, *bodies: dict[str, Any]) -> None:
        if queue not in self._senders:
            self._senders[queue] = self._client.get_queue_sender(queue)
        self._senders[queue].send_messages([ServiceBusMessage(json.dumps(body)) for body in bodies])

    def is_empty(self, queue: str, sub_queue: ServiceBusSubQueue | None = None) -> bool:
        return not self.receiver(queue, sub_queue).peek_messages(1)

    def receiver(self, queue: str, sub_queue: ServiceBusSubQueue | None = None) -> ServiceBusReceiver:
        if (queue, sub_queue) not in self._receivers:
            self._receivers[queue, sub_queue] = self._client.get_queue_receiver(queue, sub_queue=sub_queue)
        return self._receivers[queue, sub_queue]

    def close(self) -> None:
        links = [*self._senders.values(), *self._receivers.values()]
        with ThreadPoolExecutor(len(links)) as threads:
            list(threads.map(lambda link: link.close(), links))
        self._client.close()


@pytest.fixture(scope="module")
def bus(emulator: Emulator) -> Iterator[Bus]:
    bus = Bus(ServiceBusClient.from_connection_string(emulator.connection_string))
    yield bus
    bus.close()


def host_settings(emulator: Emulator, queue: str) -> dict[str, str]:
    return {
        "SERVICE_BUS": emulator.connection_string,
        "QUEUE": queue,
        "AzureWebJobs.switched_off.Disabled": "true",
    }


@pytest.fixture(scope="module")
def shared_host(
    tmp_path_factory: pytest.TempPathFactory, emulator: Emulator, queues: Iterator[str]
) -> Iterator[RunningHost]:
    """For the tests that only use it. They tell their messages apart by `test`."""
    host = RunningHost(tmp_path_factory.mktemp("host"), host_settings(emulator, next(queues)))
    host.start(QUEUE_APP).ready()
    yield host
    host.stop()


@pytest.fixture
def start_host(tmp_path: Path, emulator: Emulator, queue: str) -> Iterator[Callable[..., RunningHost]]:
    """Starts a host over the test's own queue and waits until it is ready."""
    hosts = []

    def start(source: str = QUEUE_APP, host_json: dict[str, Any] | None = None, *options: str) -> RunningHost:
        host = RunningHost(tmp_path, host_settings(emulator, queue), HOST_JSON | (host_json or {}), options)
        hosts.append(host)
        host.start(source).ready()
        return host

    yield start
    for host in hosts:
        host.stop()


def of_test(events: list[Any], test: str) -> list[Any]:
    """The events `began` or `ended` of one test's messages."""
    return [event for event in events if (event[0] if isinstance(event, list) else event).get("test") == test]


def test_a_message_runs_its_function_once_and_is_completed(shared_host, bus):
    queue = shared_host.settings["QUEUE"]
    bus.send(queue, *({"test": "once", "page": page} for page in range(20)))
    wait_for(lambda: len(of_test(shared_host.events("ended"), "once")) == 20, "20 messages")
    wait_for(lambda: bus.is_empty(queue), "the settlement")
    began = of_test(shared_host.events("began"), "once")
    assert sorted((told["page"], count) for told, count in began) == [(page, 1) for page in range(20)]


def test_a_failing_message_is_delivered_again_until_it_is_a_dead_letter(shared_host, bus):
    """Abandoned, so at once. The dead-letter function finds the reason among the application properties only."""
    queue = shared_host.settings["QUEUE"]
    bus.send(queue, {"test": "fails", "fails": True})
    assert shared_host.wait_for_events("dead") == [["MaxDeliveryCountExceeded", None]]
    assert [count for _, count in of_test(shared_host.events("began"), "fails")] == [1, 2, 3]
    wait_for(lambda: bus.is_empty(queue, ServiceBusSubQueue.DEAD_LETTER), "the settlement")
    assert shared_host.log.count("function mine failed: ValueError: as told") == 3


def test_a_lock_is_renewed_while_its_function_runs(shared_host, bus):
    """The queue's locks last 5 seconds, the function 6."""
    queue = shared_host.settings["QUEUE"]
    bus.send(queue, {"test": "renewed", "sleeps": 9, "seconds": 6})
    wait_for(lambda: of_test(shared_host.events("ended"), "renewed"), "the function")
    wait_for(lambda: bus.is_empty(queue), "the settlement")
    assert len(of_test(shared_host.events("began"), "renewed")) == 1


def test_http_timers_and_the_admin_endpoints(shared_host):
    host = shared_host
    assert host.request("/api/hello/ann?x=1", b"body") == (201, '["ann", "1", "body"]')
    assert host.request("/api/broken") == (500, "")
    assert "RuntimeError: in the log only" in host.log
    assert host.request("/api/nothing")[0] == 404
    assert json.loads(host.request("/admin/host/status")[1])["state"] == "Running"
    functions = json.loads(host.request("/admin/functions")[1])
    assert [function["name"] for function in functions] == ["mine", "dead", "hello", "broken", "yearly"]
    assert host.wait_for_events("timer") == [False]
    assert host.request("/admin/functions/yearly", b"{}")[0] == 202
    host.wait_for_events("timer", 2)
    assert host.request("/admin/functions/mine", json.dumps({"input": '{"test": "by hand"}'}).encode())[0] == 202
    wait_for(lambda: of_test(host.events("ended"), "by hand"), "the function")
    assert host.request("/admin/functions/unknown", b"{}")[0] == 404
    assert host.request("/admin/functions/mine", b"[")[0] == 400
    assert host.events("must not run") == []


def test_a_killed_worker_is_replaced_and_its_message_delivered_again(start_host, bus, queue):
    host = start_host()
    (worker,) = host.ready()["workers"]
    bus.send(queue, {"sleeps": 1, "seconds": 600})
    host.wait_for_events("began")
    os.kill(worker, signal.SIGKILL)
    assert host.wait_for_events("ended")
    assert [count for _, count in host.events("began")] == [1, 2]
    assert host.ready()["workers"] not in ([], [worker])
    assert f"worker {worker} ended" in host.log


def test_a_function_over_its_timeout_costs_the_worker_its_life(start_host, bus, queue):
    """Also one that blocks the event loop of the worker, which no cancellation could reach."""
    host = start_host(host_json={"functionTimeout": "00:00:01"})
    (worker,) = host.ready()["workers"]
    bus.send(queue, {"block": 1})
    host.wait_for_events("ended")
    assert not is_running(worker)
    assert "mine exceeded functionTimeout (1 s)" in host.log


def test_a_stop_lets_a_running_function_finish_and_completes_its_message(start_host, bus, queue):
    host = start_host()
    bus.send(queue, {"sleeps": 1, "seconds": 1})
    host.wait_for_events("began")
    host.signal(signal.SIGTERM)
    assert host.wait() == 0
    assert len(host.events("ended")) == 1
    assert bus.is_empty(queue)
    assert not host.ready_file.exists()


def test_a_stop_gives_back_what_does_not_finish_in_time(start_host, bus, queue):
    """Its message is abandoned, not left to its lock, so another host has it at once."""
    host = start_host(QUEUE_APP, {}, "--drain-seconds", "0.5")
    workers = host.ready()["workers"]
    bus.send(queue, {"sleeps": 1, "seconds": 600})
    host.wait_for_events("began")
    host.signal(signal.SIGINT)
    assert host.wait() == 0
    (message,) = bus.receiver(queue).receive_messages(1, max_wait_time=3)
    assert message.delivery_count == 1
    bus.receiver(queue).complete_message(message)
    assert not any(map(is_running, workers))


def test_a_second_signal_ends_the_host_at_once(start_host, bus, queue):
    host = start_host(QUEUE_APP, {}, "--drain-seconds", "600")
    workers = host.ready()["workers"]
    bus.send(queue, {"sleeps": 9, "seconds": 600})
    host.wait_for_events("began")
    host.signal(signal.SIGINT)
    wait_for(lambda: "stopping" in host.log, "the drain")
    host.signal(signal.SIGINT)
    assert host.wait() == 130
    wait_for(lambda: not any(map(is_running, workers)), "the workers to end")


def test_workers_end_when_their_host_is_killed(start_host):
    host = start_host()
    workers = host.ready()["workers"]
    host.signal(signal.SIGKILL)
    host.wait()
    wait_for(lambda: not any(map(is_running, workers)), "the workers to end")


def test_no_more_messages_run_at_once_than_host_json_allows(start_host, bus, queue):
    host = start_host(host_json={"extensions": {"serviceBus": {"maxConcurrentCalls": 2}}})
    bus.send(queue, *({"page": page, "sleeps": 9, "seconds": 0.3} for page in range(8)))
    host.wait_for_events("ended", 8)
    lines = [json.loads(line)[0] for line in (host.folder / "events").read_text().splitlines()]
    running = [lines[:end].count("began") - lines[:end].count("ended") for end in range(len(lines) + 1)]
    assert max(running) == 2


def test_messages_are_shared_among_the_worker_processes(start_host, bus, queue, tmp_path, emulator):
    source = (
        HEAD
        + """
@app.service_bus_queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="SERVICE_BUS")
def mine(message: func.ServiceBusMessage) -> None:
    time.sleep(0.2)
    note("ran in", os.getpid())
"""
    )
    settings = {"SERVICE_BUS": emulator.connection_string, "QUEUE": queue, "FUNCTIONS_WORKER_PROCESS_COUNT": "2"}
    host = RunningHost(tmp_path, settings)
    try:
        workers = host.start(source).ready()["workers"]
        bus.send(queue, *({"page": page} for page in range(8)))
        assert set(host.wait_for_events("ran in", 8)) == set(workers)
        assert len(workers) == 2
    finally:
        host.stop()

"""From what an app registers to what listens for it. The mistakes were refused before, by host_rules.py."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from devtools.local_host.broker import Broker
from devtools.local_host.host_json import ServiceBusOptions
from devtools.local_host.host_rules import resolved, split_queue
from devtools.local_host.http_server import Invoke, is_binary
from devtools.local_host.ncrontab import parse_schedule
from devtools.local_host.registrations import SERVICE_BUS, TIMER, Registration
from devtools.local_host.service_bus_listener import QueueListener, QueueTrigger
from devtools.local_host.settings import AppSettings, Connection, is_true
from devtools.local_host.timers import ScheduleMonitor, Timer
from devtools.local_host.trigger_data import TriggerData

log = logging.getLogger(__name__)


def enabled(functions: Sequence[Registration], settings: AppSettings) -> list[Registration]:
    """Without those that a setting or their binding disables, which are logged."""
    return [function for function in functions if not _is_disabled(function, settings)]


def _is_disabled(function: Registration, settings: AppSettings) -> bool:
    value = function.trigger.get("disabled")
    by_binding = is_true(value) or (isinstance(value, str) and is_true(settings.get(value)))
    if by_binding or settings.disables(function.name):
        log.info("function %s is disabled", function.name)
        return True
    return False


def queue_listeners(
    functions: Sequence[Registration],
    settings: AppSettings,
    options: ServiceBusOptions,
    invoke: Invoke,
    ready: Callable[[], Awaitable[None]],
) -> tuple[list[QueueListener], list[Broker]]:
    """One listener per Service Bus function, one broker per connection."""
    brokers: dict[Connection, Broker] = {}
    listeners = []
    for function in functions:
        if function.trigger["type"] == SERVICE_BUS:
            connection = settings.connection(function.trigger.get("connection") or "ServiceBus")
            assert connection is not None
            if connection not in brokers:
                brokers[connection] = Broker(connection)
            trigger = _queue_trigger(function, settings)
            listeners.append(QueueListener(trigger, brokers[connection], options, invoke, ready))
    return listeners, list(brokers.values())


def _queue_trigger(function: Registration, settings: AppSettings) -> QueueTrigger:
    queue, dead_letters = split_queue(_text(function, "queueName", settings))
    log.info("function %s listens to %s%s", function.name, queue, " (dead letters)" if dead_letters else "")
    return QueueTrigger(function.name, queue, dead_letters, is_binary(function), written=function.trigger["queueName"])


def timers(
    functions: Sequence[Registration], settings: AppSettings, monitor: ScheduleMonitor, invoke: Invoke
) -> list[Timer]:
    return [_timer(entry, settings, monitor, invoke) for entry in functions if entry.trigger["type"] == TIMER]


def _timer(function: Registration, settings: AppSettings, monitor: ScheduleMonitor, invoke: Invoke) -> Timer:
    schedule = parse_schedule(_text(function, "schedule", settings), datetime.now(UTC))
    log.info("function %s runs at %s", function.name, schedule.text)

    async def invoke_it(data: TriggerData) -> None:
        await invoke(function.name, data)

    return Timer(function.name, schedule, invoke_it, monitor, is_true(function.trigger.get("runOnStartup")))


def _text(function: Registration, key: str, settings: AppSettings) -> str:
    text = resolved(function.trigger, key, settings)
    assert text is not None
    return text

"""Timer triggers: one run at a time, the next occurrence counted from the start of the last one."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from devtools.local_host.ncrontab import Schedule
from devtools.local_host.trigger_data import TriggerData, timer_data

log = logging.getLogger(__name__)

NEVER = datetime.min.replace(tzinfo=UTC)
LONGEST_SLEEP = 60.0
"""Seconds. A laptop that slept for an hour must not wait another one."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class ScheduleStatus:
    """What the real host remembers of a timer in AzureWebJobsStorage."""

    last: datetime
    next: datetime
    schedule: str

    def as_sent(self) -> dict[str, datetime]:
        return {"Last": self.last, "Next": self.next, "LastUpdated": self.last}


class ScheduleMonitor:
    """Remembers the timers in a file, so that one missed while the host was down runs at once and past due.

    Without a file nothing is remembered beyond this process.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._statuses = self._read()

    def status(self, function: str) -> ScheduleStatus | None:
        return self._statuses.get(function)

    def update(self, function: str, status: ScheduleStatus) -> None:
        self._statuses[function] = status
        if self._file is not None:
            content = {name: vars(known) for name, known in self._statuses.items()}
            unfinished = self._file.with_name(self._file.name + ".new")
            unfinished.write_text(json.dumps(content, default=datetime.isoformat, indent=2))
            unfinished.replace(self._file)

    def _read(self) -> dict[str, ScheduleStatus]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            content = json.loads(self._file.read_text())
            return {name: _status(entry) for name, entry in content.items()}
        except (ValueError, KeyError, TypeError):
            log.warning("%s cannot be read; no timer counts as past due", self._file)
            return {}


def _status(entry: dict[str, str]) -> ScheduleStatus:
    return ScheduleStatus(
        datetime.fromisoformat(entry["last"]), datetime.fromisoformat(entry["next"]), entry["schedule"]
    )


class Timer:
    """One timer function. `invoke` runs it and never raises for a failure of the function."""

    def __init__(
        self,
        function: str,
        schedule: Schedule,
        invoke: Callable[[TriggerData], Awaitable[object]],
        monitor: ScheduleMonitor,
        run_on_startup: bool = False,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.function = function
        self._schedule = schedule
        self._invoke = invoke
        self._monitor = monitor
        self._run_on_startup = run_on_startup
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Fire for ever. A late start is one run, however many occurrences were missed."""
        status = self._known_status()
        if status.next <= self._now():
            status = await self._fire(status, past_due=True)
        elif self._run_on_startup:
            status = await self._fire(status)
        while True:
            await self._sleep_until(status.next)
            status = await self._fire(status)

    def _known_status(self) -> ScheduleStatus:
        known = self._monitor.status(self.function)
        if known is not None and known.schedule == self._schedule.text:
            return known
        return ScheduleStatus(NEVER, self._schedule.next_after(self._now()), self._schedule.text)

    async def _fire(self, status: ScheduleStatus, past_due: bool = False) -> ScheduleStatus:
        started = self._now()
        await self._invoke(timer_data(status.as_sent(), past_due))
        fired = ScheduleStatus(started, self._schedule.next_after(started), status.schedule)
        self._monitor.update(self.function, fired)
        return fired

    async def _sleep_until(self, moment: datetime) -> None:
        while (seconds := (moment - self._now()).total_seconds()) > 0:
            await self._sleep(min(seconds, LONGEST_SLEEP))

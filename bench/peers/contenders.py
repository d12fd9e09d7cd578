"""Who is measured side by side: each in an environment of its own, with the best configuration that we know for it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RECORD = re.compile(rb'"type" ?: ?"RECORD"')


def _number_printed(output: Path) -> int:
    return int((output / "stdout").read_bytes() or 0)


def _record_messages(output: Path) -> int:
    with (output / "stdout").open("rb") as lines:
        return sum(bool(RECORD.search(line)) for line in lines)


def _lines_loaded(output: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in (output / "loaded").rglob("items/*.jsonl"))


def _not_delivered(output: Path) -> int | None:
    """Extracted only: there is nothing to count yet."""
    return None


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that mines every user: its file in `programs/`, its environment, and how its records are counted.

    `parallel` is what it is told of how much at once, without latency and with it: the best that we found.
    """

    name: str
    environment: str
    program: str
    counted: Callable[[Path], int | None]
    parallel: tuple[str, str] = ("", "")
    more: tuple[str, ...] = ()

    @property
    def requirements(self) -> Path:
        return HERE / "requirements" / f"{self.environment}.txt"

    def arguments(self, base: str, users: int, output: Path, latency_ms: float) -> list[str]:
        chosen = self.parallel[1 if latency_ms else 0]
        return [
            str(HERE / "programs" / self.program),
            base,
            str(users),
            str(output),
            *filter(None, [chosen]),
            *self.more,
        ]


CONTENDERS = (
    Contender("raw aiohttp", "aiohttp", "raw_aiohttp.py", _number_printed, ("50", "200")),
    Contender("raw httpx", "httpx", "raw_httpx.py", _number_printed, ("10", "50")),
    Contender("dlt, extract only", "dlt", "dlt_run.py", _not_delivered, ("20", "50"), ("extract",)),
    Contender("dlt to JSON Lines", "dlt", "dlt_run.py", _lines_loaded, ("20", "50")),
    Contender("Singer SDK", "singer", "singer_run.py", _record_messages),
    Contender("Airbyte CDK", "airbyte", "airbyte_run.py", _record_messages, ("1", "50")),
)

"""Three classes for `pipelines/weather.yaml`: how an API counts rows, a unit, and pages of CSV. And one that keeps
records in a database.

None of them remembers anything: one instance serves all users.
"""

import asyncio
import csv
import io
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import MalformedResponse
from shared.pipeline.contracts import Fetch, Fill, Page, PageRequest, PageSeen

TOTAL = re.compile(r"(?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+)")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RowRanges:
    """Rows are asked for in the header `Range`; `Content-Range: 0-24/3573` says which came, and how many there are."""

    class Options(Strict):
        rows: int = Field(ge=1)

    def __init__(self, options: Options):
        self._rows = options.rows

    def request(self, first: PageRequest, cursor: str | None) -> PageRequest:
        start = int(cursor or 0)
        return replace(first, headers={**first.headers, "Range": f"{start}-{start + self._rows - 1}"})

    def next_cursor(self, page: PageSeen) -> str | None:
        said = page.headers.get("content-range", "")
        if said.startswith("*/"):  # no row came
            return None
        found = TOTAL.fullmatch(said)
        if found is None:
            raise MalformedResponse("Content-Range: found no range of rows, allowed: FIRST-LAST/TOTAL")
        following = int(found["last"]) + 1
        return str(following) if following < int(found["total"]) else None


class Celsius:
    """Degrees Fahrenheit in `field` become degrees Celsius in `celsius`."""

    class Options(Strict):
        field: str

    def __init__(self, options: Options):
        self._field = options.field

    def transformed(self, record: dict[str, Any], fill: Fill) -> dict[str, Any]:
        rest = {name: value for name, value in record.items() if name != self._field}
        return rest | {"celsius": round((record[self._field] - 32) / 1.8, 2)}


class CsvPages:
    """Pages of CSV, counted in the query; a page without rows is the end."""

    def __init__(self, options: Mapping[str, Any]):
        self._delimiter = str(options.get("delimiter", ","))

    async def page(self, first: PageRequest, cursor: str | None, fetch: Fetch) -> Page:
        number = int(cursor or 1)
        separator = "&" if "?" in first.url else "?"
        response = await fetch(replace(first, url=f"{first.url}{separator}page={number}"))
        rows = csv.DictReader(io.StringIO(response.body.decode()), delimiter=self._delimiter, strict=True)
        records: list[dict[str, Any]] = list(rows)
        return Page(records, str(number + 1) if records else None)


class SqliteRows:
    """Records become rows of a database in `file`, each once: a batch and its name are kept in one transaction."""

    class Options(Strict):
        file: str

    def __init__(self, options: Options):
        self._file = options.file

    async def write(self, name: str, lines: bytes) -> None:
        await asyncio.to_thread(self._keep, name, lines.decode().splitlines())

    def _keep(self, name: str, lines: list[str]) -> None:
        with closing(sqlite3.connect(self._file, timeout=10)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY)")
            database.execute("CREATE TABLE IF NOT EXISTS records (batch TEXT, record TEXT)")
            if database.execute("INSERT OR IGNORE INTO batches VALUES (?)", [name]).rowcount:
                database.executemany("INSERT INTO records VALUES (?, ?)", [(name, line) for line in lines])

"""A class of somebody's, as a pipeline file may name one: cursors are sent as `after` and named as `next`."""

from dataclasses import replace
from typing import Any

from shared.pipeline.contracts import PageRequest, PageSeen


class Behind:
    def __init__(self, options: dict[str, Any]):
        self._param = options["param"]

    def request(self, first: PageRequest, cursor: str | None) -> PageRequest:
        mark = "&" if "?" in first.url else "?"
        return first if cursor is None else replace(first, url=f"{first.url}{mark}{self._param}={cursor}")

    def next_cursor(self, page: PageSeen) -> str | None:
        following: str | None = page.body["next"]
        return following

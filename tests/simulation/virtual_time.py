"""An event loop whose time passes only while nothing is ready: hours take milliseconds, and the order is fixed."""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class Stuck(AssertionError):
    """Every task waits for something that nothing will bring about."""


class _NoSelector(selectors.BaseSelector):
    """There is no I/O in a simulation; waiting moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return self._keys[fileobj]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is ready and nothing is due")
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at second 0."""

    def __init__(self) -> None:
        self._no_selector = _NoSelector()
        super().__init__(self._no_selector)

    def time(self) -> float:
        return self._no_selector.now

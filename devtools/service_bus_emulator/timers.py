"""Things to do at a time, cheaply forgotten."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

_SPARE = 10_000


class Timers:
    """A heap of (due, act, key). Nothing is ever cancelled: `act(key)` looks whether it still applies.

    So the heap gathers timers of messages long gone; the owner asks `crowded` and fills it anew.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._numbers = count()

    def at(self, due: int, act: Callable[[Any], None], key: Any) -> None:
        heapq.heappush(self._heap, (due, next(self._numbers), act, key))

    def run(self, now: int) -> None:
        """Call what is due, in order of time; what that adds and is due already is called too."""
        while self._heap and self._heap[0][0] <= now:
            _, _, act, key = heapq.heappop(self._heap)
            act(key)

    def __len__(self) -> int:
        return len(self._heap)

    def crowded(self, alive: int) -> bool:
        return len(self._heap) > 3 * alive + _SPARE

    def clear(self) -> None:
        self._heap = []

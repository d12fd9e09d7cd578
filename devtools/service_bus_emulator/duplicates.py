"""Duplicate detection: the message ids of the last while."""

from collections.abc import Iterator

_PURGE_EVERY = 1_000  # milliseconds


class DuplicateHistory:
    """Which message ids came within the window, each with the time until which it counts.

    A duplicate does not prolong its window, as in Azure. Times are milliseconds.
    """

    def __init__(self) -> None:
        self._until: dict[str, int] = {}  # in order of time
        self._purged_at = 0

    def restore(self, until: dict[str, int]) -> None:
        self._until = dict(sorted(until.items(), key=lambda item: item[1]))

    def contains(self, message_id: str, now: int) -> bool:
        return self._until.get(message_id, 0) > now

    def add(self, message_id: str, until: int) -> None:
        self._until.pop(message_id, None)
        self._until[message_id] = until

    def purge(self, now: int) -> bool:
        """Forget what is past, at most once a second; True if there was something."""
        if not self._until or now < self._purged_at + _PURGE_EVERY:
            return False
        self._purged_at = now
        past = list(self._past(now))
        for message_id in past:
            del self._until[message_id]
        return bool(past)

    def _past(self, now: int) -> Iterator[str]:
        for message_id, until in self._until.items():
            if until > now:
                return
            yield message_id

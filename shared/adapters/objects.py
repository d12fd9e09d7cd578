"""Objects that are written once: pages too large for a row, and the output."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is there: its size in bytes, and when it was written, in UTC."""

    name: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """Names are relative paths with `/`. All raise OutputUnavailable when the store fails."""

    async def write_once(self, name: str, data: bytes) -> None:
        """The whole object appears under its name, or nothing does. Raises AlreadyExists."""
        ...

    async def read(self, name: str) -> bytes | None: ...

    async def delete(self, name: str) -> None:
        """An object that is gone already is fine."""
        ...

    def list(self, prefix: str) -> AsyncIterator[Found]:
        """The objects whose names begin with `prefix`, which is empty or ends in `/`, in the order of their names."""
        ...

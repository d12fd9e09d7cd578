"""Objects that are written once: pages too large for a row, and the output."""

from typing import Protocol


class ObjectStore(Protocol):
    """Names are relative paths with `/`. All raise OutputUnavailable when the store fails."""

    async def write_once(self, name: str, data: bytes) -> None:
        """The whole object appears under its name, or nothing does. Raises AlreadyExists."""
        ...

    async def read(self, name: str) -> bytes | None: ...

    async def delete(self, name: str) -> None:
        """An object that is gone already is fine."""
        ...

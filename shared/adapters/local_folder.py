"""Objects as files of a local folder."""

import asyncio
import contextlib
import os
import secrets
from pathlib import Path

from shared.errors import AlreadyExists, OutputUnavailable


class LocalFolder:
    """An ObjectStore whose objects are files; readers never see a half-written one."""

    def __init__(self, folder: Path):
        self._folder = folder

    async def write_once(self, name: str, data: bytes) -> None:
        await asyncio.to_thread(self._write_once, name, data)

    async def read(self, name: str) -> bytes | None:
        try:
            return await asyncio.to_thread((self._folder / name).read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputUnavailable(f"{self._folder / name}: {error.strerror}") from None

    async def delete(self, name: str) -> None:
        try:
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)
        except OSError as error:
            raise OutputUnavailable(f"{self._folder / name}: {error.strerror}") from None

    def _write_once(self, name: str, data: bytes) -> None:
        target = self._folder / name
        draft = target.parent / f".{target.name}.{secrets.token_hex(6)}.part"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._write_draft(draft, data)
            self._publish(draft, target, name)
            self._flush(target.parent)
        except OSError as error:
            raise OutputUnavailable(f"{target}: {error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    @staticmethod
    def _publish(draft: Path, target: Path, name: str) -> None:
        """A link fails if the name is taken, and a reader never sees half an object."""
        try:
            os.link(draft, target)
        except FileExistsError:
            raise AlreadyExists(f"{name} is there already") from None

    @staticmethod
    def _write_draft(draft: Path, data: bytes) -> None:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _flush(folder: Path) -> None:
        """The directory entry must survive a power cut as well as the bytes do."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

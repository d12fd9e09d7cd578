"""Objects as files of a local folder."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from shared.adapters.objects import Found
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

    async def list(self, prefix: str) -> AsyncIterator[Found]:
        try:
            found = await asyncio.to_thread(self._listed, prefix)
        except OSError as error:
            raise OutputUnavailable(f"{self._folder / prefix}: {error.strerror}") from None
        for each in found:
            yield each

    def _listed(self, prefix: str) -> Sequence[Found]:
        """What is deleted while it is looked at is not there; drafts are no objects."""
        found = []
        for folder, _, names in os.walk(self._folder / prefix):
            for name in names:
                file = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    if not (name.startswith(".") and name.endswith(".part")):
                        facts = file.stat()
                        modified = datetime.fromtimestamp(facts.st_mtime, UTC)
                        found.append(Found(file.relative_to(self._folder).as_posix(), facts.st_size, modified))
        return sorted(found, key=lambda each: each.name)

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

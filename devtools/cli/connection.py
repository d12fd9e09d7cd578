"""Which tables and queues a command talks to.

With a data folder: its stand-ins, those that are running or, for the length of the command, new ones on its data.
Without: whatever the settings name, first of the environment, then of `local.settings.json`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from devtools.cli.terminal import say
from devtools.places import ROOT
from devtools.stand_ins import app_settings, azurite, service_bus, stack
from devtools.stand_ins.data_folder import DataFolder
from shared.errors import BadInput
from shared.pipeline.spec import Pipeline
from shared.services import Services, open_services
from shared.settings import Settings

Result = TypeVar("Result")

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data directory of a headframe mine. Default: what the settings name."),
]


@contextmanager
def settings_of(data: Path | None) -> Iterator[Mapping[str, str]]:
    """The app settings to connect with. Raises BadInput."""
    if data is None:
        yield _named()
        return
    if not data.is_dir():
        raise BadInput(f"--data {data}: found no folder, allowed: the data directory of an earlier headframe mine")
    running = _running(DataFolder(data.resolve()))
    if running is not None:
        yield running
        return
    with DataFolder.opened(data) as folder, stack.stand_ins(folder, say) as addresses:
        yield with_keys(addresses, folder)


def with_keys(addresses: stack.Addresses, folder: DataFolder) -> dict[str, str]:
    """The settings of a stack of our own, whatever the environment says."""
    return app_settings.defaults() | addresses.settings() | {"CREDENTIAL_KEYS": folder.credential_keys()}


def with_services(data: Path | None, work: Callable[[Services], Awaitable[Result]]) -> Result:
    """Do `work` with the stores that a command's `--data` chooses. Raises BadInput."""

    async def connected(settings: Mapping[str, str]) -> Result:
        async with services(settings, {}) as opened:
            return await work(opened)

    with settings_of(data) as settings:
        return asyncio.run(connected(settings))


@asynccontextmanager
async def services(settings: Mapping[str, str], pipelines: dict[str, Pipeline]) -> AsyncIterator[Services]:
    """The app's own stores over these settings."""
    opened = await open_services(Settings.read(settings), pipelines)
    try:
        yield opened
    finally:
        await opened.close()


def _named() -> dict[str, str]:
    file = ROOT / "local.settings.json"
    settings = app_settings.read_local_settings(file) | dict(os.environ)
    if not settings.keys() & {"STORAGE", "STORAGE__tableServiceUri"}:
        raise BadInput(
            f"settings: found no STORAGE in the environment and no {file.name}, "
            "allowed: either of them (headframe start writes the file), or --data DIR"
        )
    return settings


def _running(folder: DataFolder) -> dict[str, str] | None:
    """Another command may hold the folder: its stand-ins serve us as well."""
    names = (azurite.NAME, service_bus.NAME)
    if not all(folder.running(name) for name in names):
        return None
    storage, bus = (folder.recorded()[name].ports for name in names)
    return with_keys(stack.Addresses(storage, bus), folder)

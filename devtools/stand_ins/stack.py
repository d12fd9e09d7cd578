"""The stand-ins and the host together: up in the order of their needs, down in the reverse order.

The stand-ins live in sessions of their own: what kills a command with SIGKILL leaves them running, the next
start with the same data folder finds them, and only an orderly end stops them. The host lives in our process
group and dies with it; one that survived nevertheless is stopped first, so that a data folder never has two.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from devtools.stand_ins import app_settings, azurite, azurite_install, demo_api, local_host, service_bus
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import Ports
from devtools.stand_ins.supervisor import Kind, Say, ensure, stop


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the stand-ins of a running stack listen."""

    storage: Ports
    bus: Ports

    def settings(self) -> dict[str, str]:
        return app_settings.connections(self.storage, self.bus)


@contextmanager
def stand_ins(folder: DataFolder, say: Say, *, fixed_ports: bool = False) -> Iterator[Addresses]:
    """Azurite and the Service Bus emulator, running on the folder's data; stopped at the end.

    Raises BadInput, one line, for what cannot start; nothing half-started is left. A host that outlived its
    command is stopped first.
    """
    try:
        stop(folder, local_host.NAME, say)
        storage = ensure(folder, azurite_kind(folder, say), azurite.FIXED_PORTS if fixed_ports else None, say)
        bus = ensure(folder, service_bus_kind(folder), service_bus.FIXED_PORTS if fixed_ports else None, say)
        yield Addresses(storage, bus)
    finally:
        with _uninterrupted():
            stop(folder, service_bus.NAME, say)
            stop(folder, azurite.NAME, say)


@contextmanager
def host(folder: DataFolder, settings: Mapping[str, str], say: Say, *, fixed_ports: bool = False) -> Iterator[Ports]:
    """The local Functions host with `settings`; drained and stopped at the end."""
    try:
        kind = host_kind(folder, settings)
        yield ensure(folder, kind, local_host.FIXED_PORTS if fixed_ports else None, say)
    finally:
        with _uninterrupted():
            stop(folder, local_host.NAME, say)


def azurite_kind(folder: DataFolder, say: Say) -> Kind:
    installed = azurite_install.install(say)
    return Kind(
        azurite.NAME,
        "Azurite",
        azurite.SERVICES,
        lambda ports: azurite.arguments(installed, folder.path / "azurite", ports),
        lambda ports: azurite.is_ready(folder.log(azurite.NAME), ports),
        app_settings.environment({}),
    )


def demo_api_kind(folder: DataFolder, options: tuple[str, ...]) -> Kind:
    """`options` are those of `python -m devtools.demo_api`."""
    port_file = folder.path / "demo_api.port"
    return Kind(
        demo_api.NAME,
        "the demo API",
        demo_api.SERVICES,
        lambda ports: demo_api.arguments(options, port_file, ports),
        lambda ports: port_file.exists(),
        app_settings.environment({}),
        ready_file=port_file,
    )


def service_bus_kind(folder: DataFolder) -> Kind:
    port_file = folder.path / "service_bus.port"
    return Kind(
        service_bus.NAME,
        "the Service Bus emulator",
        service_bus.SERVICES,
        lambda ports: service_bus.arguments(folder.path / "service_bus.sqlite", port_file, ports),
        lambda ports: service_bus.is_ready(port_file, ports),
        app_settings.environment({}),
        ready_file=port_file,
    )


def host_kind(folder: DataFolder, settings: Mapping[str, str]) -> Kind:
    ready_file = folder.path / "host.ready"
    return Kind(
        local_host.NAME,
        "the local host",
        local_host.SERVICES,
        lambda ports: local_host.arguments(ready_file, ports),
        lambda ports: ready_file.exists(),
        app_settings.environment(settings),
        own_session=False,
        ready_file=ready_file,
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not cut short the stopping of what was started."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

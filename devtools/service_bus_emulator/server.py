"""The listening socket: one port for AMQP and for the admin API, on the loopback interface only."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from devtools.service_bus_emulator import config
from devtools.service_bus_emulator.admin import AdminConnection
from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.connection import Connection
from devtools.service_bus_emulator.errors import JournalFailed, StartError
from devtools.service_bus_emulator.journal import NoJournal, SqliteJournal

TICK_SECONDS = 0.05
TLS_HANDSHAKE = 0x16  # the first byte of a client that speaks TLS

log = logging.getLogger("service_bus_emulator")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; port 0 is any free port."""

    config: Path
    host: str = "127.0.0.1"
    port: int = 5672
    journal: Path | None = None
    port_file: Path | None = None


def connection_string(host: str, port: int) -> str:
    """What a client needs; key and name are not checked, but the SDK wants some."""
    return (
        f"Endpoint=sb://{f'[{host}]' if ':' in host else host}:{port};SharedAccessKeyName=RootManageSharedAccessKey;"
        "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
    )


class FirstBytes(asyncio.Protocol):
    """Waits for the first bytes of a connection and hands it to the protocol they belong to."""

    def __init__(self, broker: Broker, open_transports: weakref.WeakSet[asyncio.Transport]) -> None:
        self._broker = broker
        self._open_transports = open_transports
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open_transports.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._transport is None or len(self._buffer) < 4:
            return
        if self._buffer[0] == TLS_HANDSHAKE:
            log.warning("a client tried TLS, which the emulator does not speak; see README.md for the setting it lacks")
            self._transport.close()
            return
        chosen = Connection if self._buffer[:4] == b"AMQP" else AdminConnection
        protocol = chosen(self._broker)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._buffer)


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError or JournalFailed."""
    host = _loopback(options.host)
    queues = config.read(options.config)
    journal = SqliteJournal(options.journal) if options.journal else NoJournal()
    try:
        broker = Broker(journal)
        for name, properties in queues.items():
            broker.create(name, properties)
        if isinstance(journal, SqliteJournal):
            broker.restore(journal)
        await _serve(broker, host, options)
    finally:
        journal.close()


async def _serve(broker: Broker, host: str, options: Options) -> None:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    open_transports: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    def fail(failure: JournalFailed) -> None:
        if not stopped.done():
            stopped.set_exception(failure)

    broker.on_failure = fail
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, stop)
    try:
        server = await loop.create_server(lambda: FirstBytes(broker, open_transports), host, options.port)
    except OSError as error:
        why = f"port {options.port} on {host} cannot be used: {error.strerror}; use another --port"
        raise StartError(why) from error
    ticking = asyncio.create_task(_tick(broker))
    try:
        _announce(host, server.sockets[0].getsockname()[1], options.port_file)
        await stopped
    finally:
        ticking.cancel()
        server.close()
        for transport in list(open_transports):
            transport.close()
        await asyncio.sleep(0)  # lets the transports close before the loop does


async def _tick(broker: Broker) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        broker.tick()


def _announce(host: str, port: int, port_file: Path | None) -> None:
    """Say that clients may come; the port file appears whole or not at all."""
    if port_file is not None:
        partial = port_file.with_name(f"{port_file.name}.partial")
        try:
            partial.write_text(f"{port}\n")
            partial.replace(port_file)
        except OSError as error:
            raise StartError(f"{port_file}: the port file cannot be written: {error.strerror}") from error
    print(connection_string(host, port), flush=True)


def _loopback(host: str) -> str:
    """The address to bind. Raises StartError for one that other machines could reach."""
    try:
        allowed = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise StartError(f"--host: found {host!r}, allowed: a loopback address such as 127.0.0.1; any key opens it")
    return "127.0.0.1" if host == "localhost" else host

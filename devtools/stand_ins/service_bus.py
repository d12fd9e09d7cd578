"""The Service Bus emulator of this project as a process."""

import socket
import sys
from pathlib import Path

from devtools.places import QUEUES_FILE
from devtools.stand_ins.ports import LOOPBACK, Ports

NAME = "service-bus"
SERVICES = ("amqp",)
FIXED_PORTS: Ports = {"amqp": 5672}
AMQP_HEADER = b"AMQP\x03\x01\x00\x00"


def arguments(journal: Path, port_file: Path, ports: Ports) -> tuple[str, ...]:
    options = ["--port", str(ports["amqp"]), "--port-file", str(port_file)]
    options += ["--config", str(QUEUES_FILE), "--journal", str(journal)]
    return (sys.executable, "-m", "devtools.service_bus_emulator", *options)


def is_ready(port_file: Path, ports: Ports) -> bool:
    """Whether it listens, which it says in its port file, and speaks AMQP."""
    if not port_file.exists():
        return False
    try:
        with socket.create_connection((LOOPBACK, ports["amqp"]), timeout=5) as connection:
            connection.sendall(AMQP_HEADER)
            return connection.recv(4) == AMQP_HEADER[:4]
    except OSError:
        return False


def connection_string(ports: Ports) -> str:
    """Any key is accepted; the flag makes the SDK speak without TLS and keep the port."""
    return (
        f"Endpoint=sb://{LOOPBACK}:{ports['amqp']};SharedAccessKeyName=RootManageSharedAccessKey;"
        "SharedAccessKey=local;UseDevelopmentEmulator=true;"
    )

"""Ports on the loopback interface."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from shared.errors import BadInput

LOOPBACK = "127.0.0.1"

Ports = Mapping[str, int]
"""Port by service, such as {"blob": 10000, "queue": 10001, "table": 10002}."""


def free_ports(services: tuple[str, ...]) -> Ports:
    """Ports that were free a moment ago; whoever binds them must be ready to find one taken."""
    with ExitStack() as open_sockets:
        bound = [open_sockets.enter_context(socket.socket()) for _ in services]
        for each in bound:
            each.bind((LOOPBACK, 0))
        return {service: each.getsockname()[1] for service, each in zip(services, bound, strict=True)}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(ports: Ports, owner: str) -> None:
    """Raises BadInput for the first port that somebody else listens on."""
    for service, port in ports.items():
        if not is_free(port):
            raise BadInput(f"port {port} for {owner} ({service}): found in use, allowed: a free one; stop what has it")


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=2).close()
    except OSError:
        return False
    return True

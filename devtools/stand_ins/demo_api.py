"""The demo API of this project as a process."""

import http.client
import sys
from pathlib import Path

from devtools.stand_ins.ports import LOOPBACK, Ports

NAME = "demo-api"
SERVICES = ("http",)


def arguments(options: tuple[str, ...], port_file: Path, ports: Ports) -> tuple[str, ...]:
    """`options` are those of `python -m devtools.demo_api` but for its place."""
    place = ("--port", str(ports["http"]), "--port-file", str(port_file))
    return (sys.executable, "-m", "devtools.demo_api", *options, *place)


def base_url(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports['http']}"


def truth(ports: Ports) -> list[bytes]:
    """What a perfect extraction has in its output, a line for each user and stream."""
    connection = http.client.HTTPConnection(LOOPBACK, ports["http"], timeout=60)
    try:
        connection.request("GET", "/truth")
        return connection.getresponse().read().splitlines()
    finally:
        connection.close()

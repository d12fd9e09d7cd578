"""The local Functions host as a process."""

import http.client
import sys
from pathlib import Path

from devtools.stand_ins.ports import LOOPBACK, Ports

NAME = "host"
SERVICES = ("http",)
FIXED_PORTS: Ports = {"http": 7071}
"""The port of `func start`."""


def arguments(ready_file: Path, ports: Ports) -> tuple[str, ...]:
    options = ["--port", str(ports["http"]), "--ready-file", str(ready_file)]
    return (sys.executable, "-m", "devtools.local_host", "host", "start", *options)


def run_function(name: str, ports: Ports) -> None:
    """Run a timer function now, as the Functions host lets its administrator do."""
    connection = http.client.HTTPConnection(LOOPBACK, ports["http"], timeout=30)
    try:
        connection.request("POST", f"/admin/functions/{name}", "{}", {"Content-Type": "application/json"})
        connection.getresponse().read()
    finally:
        connection.close()

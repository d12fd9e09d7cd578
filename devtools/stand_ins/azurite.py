"""Azurite: Table, Blob and Queue Storage. The app uses the first two, a Functions host may use all."""

import http.client
from pathlib import Path

from devtools.stand_ins.azurite_install import Installation
from devtools.stand_ins.ports import LOOPBACK, Ports

NAME = "azurite"
SERVICES = ("blob", "queue", "table")
FIXED_PORTS: Ports = {"blob": 10000, "queue": 10001, "table": 10002}
"""The ports that every Azure tool expects Azurite on."""

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Published by Microsoft for all emulators; it opens nothing else."""


def arguments(installed: Installation, folder: Path, ports: Ports) -> tuple[str, ...]:
    """The combined `azurite` saves on SIGTERM; `azurite-table` alone would not."""
    options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(folder)]
    for service in SERVICES:
        options += [f"--{service}Host", LOOPBACK, f"--{service}Port", str(ports[service])]
    return (str(installed.node), str(installed.script), *options)


def is_ready(log: Path, ports: Ports) -> bool:
    """Whether this Azurite listens and answers; one that somebody else started would answer too."""
    listening = f"successfully listening at http://{LOOPBACK}:"
    said = log.read_text(errors="replace")
    return all(f"{listening}{port}" in said and _is_azurite(port) for port in ports.values())


def connection_string(ports: Ports) -> str:
    endpoints = [f"{service.capitalize()}Endpoint=http://{LOOPBACK}:{ports[service]}/{ACCOUNT}" for service in SERVICES]
    account = ["DefaultEndpointsProtocol=http", f"AccountName={ACCOUNT}", f"AccountKey={ACCOUNT_KEY}"]
    return ";".join([*account, *endpoints])


def _is_azurite(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", f"/{ACCOUNT}")
        return connection.getresponse().headers.get("Server", "").startswith("Azurite")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

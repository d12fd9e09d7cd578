"""The settings that make the app talk to the stand-ins, as environment or as `local.settings.json`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from devtools.stand_ins import azurite, service_bus
from devtools.stand_ins.ports import LOOPBACK, Ports
from devtools.stand_ins.private_file import write_private
from shared.errors import BadInput
from shared.settings import Settings

FOREIGN = ("AZURITE_", "NODE_")
"""Environment variables that would change how Azurite runs."""


NAMED_BY_TRIGGERS = (
    "QUEUE_MINE_HIGH",
    "QUEUE_MINE",
    "QUEUE_MINE_LOW",
    "QUEUE_DELIVER",
    "SCHEDULE_CRON",
    "RECONCILE_CRON",
    "COMPACT_CRON",
)
"""Triggers refer to these as `%NAME%`, which a host resolves from settings only, never from our defaults."""


def defaults() -> dict[str, str]:
    """Every setting of the app, so that nothing of a surrounding environment slips in; empty means absent."""
    fields = Settings.model_fields.values()
    return {each.alias: "" if each.default is None else str(each.default) for each in fields if each.alias}


def for_local_file(storage: Ports, bus: Ports) -> dict[str, str]:
    """What `local.settings.json` must have."""
    return connections(storage, bus) | {name: defaults()[name] for name in NAMED_BY_TRIGGERS}


def connections(storage: Ports, bus: Ports) -> dict[str, str]:
    """Where the stand-ins are."""
    account = azurite.connection_string(storage)
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobsStorage": account,
        "STORAGE": account,
        "SERVICE_BUS": service_bus.connection_string(bus),
    }


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours with `settings` on top. The stand-ins are on this machine, so no proxy stands between."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), LOOPBACK, "localhost"]))
    return ours | {"NO_PROXY": direct, "no_proxy": direct} | dict(settings)


def read_local_settings(file: Path) -> dict[str, str]:
    """The `Values`; empty when there is no such file. Raises BadInput for what Core Tools would refuse."""
    if not file.exists():
        return {}
    try:
        values = json.loads(file.read_text())["Values"]
        return {str(name): str(value) for name, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        allowed = '{"Values": {"STORAGE": "…"}}'
        raise BadInput(f"{file}: found no settings, allowed: JSON such as {allowed}") from None


def write_local_settings(file: Path, settings: Mapping[str, str]) -> None:
    """Add what is missing or empty; what a person wrote there stays."""
    written = {name: value for name, value in read_local_settings(file).items() if value or name not in settings}
    values = dict(settings) | written
    write_private(file, json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n")

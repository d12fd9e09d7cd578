"""`headframe start` and `headframe stop`: the stand-ins and the host until Ctrl-C."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from devtools.cli.mine import StackBroke
from devtools.places import CACHE, ROOT
from devtools.stand_ins import app_settings, azurite, local_host, service_bus, stack
from devtools.stand_ins.data_folder import DataFolder
from devtools.stand_ins.ports import Ports
from devtools.stand_ins.supervisor import Say

DATA = CACHE / "start"
LOCAL_SETTINGS = ROOT / "local.settings.json"


def start(data: Path, say: Say, *, with_host: bool) -> None:
    """Returns never; KeyboardInterrupt ends it, and everything is stopped. Raises BadInput or StackBroke."""
    with DataFolder.opened(data) as folder, stack.stand_ins(folder, say, fixed_ports=True):
        app_settings.write_local_settings(LOCAL_SETTINGS, _settings(folder))
        say(f"Azurite on {_shown(azurite.FIXED_PORTS)}, the Service Bus emulator on {_shown(service_bus.FIXED_PORTS)}")
        say(f"settings in {LOCAL_SETTINGS.name}, data in {folder.path}")
        if with_host:
            with stack.host(folder, {}, say, fixed_ports=True):
                say(f"the host on http://127.0.0.1:{local_host.FIXED_PORTS['http']}; Ctrl-C ends everything")
                _show_log(folder, local_host.NAME, say)
        say("no host: `func start` in another terminal runs the app on these; Ctrl-C ends them")
        _show_log(folder, azurite.NAME, say)


def stop(data: Path | None, say: Say) -> None:
    """Stop what a killed command left running: in this folder, or in all that headframe made itself."""
    folders = [data] if data else [file.parent for file in CACHE.glob("**/stack.json")]
    for each in folders:
        with DataFolder.opened(each) as folder:
            folder.stop_all(say)


def _settings(folder: DataFolder) -> dict[str, str]:
    return app_settings.for_local_file(azurite.FIXED_PORTS, service_bus.FIXED_PORTS) | {
        "CREDENTIAL_KEYS": folder.credential_keys(),
        "OUTPUT": (ROOT / "output").as_uri(),
    }


def _shown(ports: Ports) -> str:
    return ", ".join(map(str, ports.values()))


def _show_log(folder: DataFolder, name: str, say: Say) -> None:
    """Raises StackBroke when the server ends."""
    for line in _lines(folder.log(name), lambda: folder.running(name) is not None):
        say(line)
    raise StackBroke(f"{name} has ended (see {folder.log(name)})")


def _lines(log: Path, goes_on: Callable[[], bool]) -> Iterator[str]:
    """The lines of a growing file."""
    with log.open(errors="replace") as file:
        while goes_on():
            while line := file.readline():
                yield line.rstrip()
            time.sleep(0.3)

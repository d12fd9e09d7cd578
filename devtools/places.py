"""Where things lie on this machine: the project's folder and what may be made again in it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder of `function_app.py`, `host.json` and the pipelines."""

CACHE = ROOT / ".headframe"
"""Installed stand-ins and the data folders of the demo and of `headframe start`. Never committed."""

QUEUES_FILE = ROOT / "devtools" / "service_bus_queues.json"
"""The queues, in the format of Microsoft's Service Bus emulator."""

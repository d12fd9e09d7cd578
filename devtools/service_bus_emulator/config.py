"""The configuration file: the queues, in the JSON format of Microsoft's own emulator.

    {"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": [
        {"Name": "orders", "Properties": {"LockDuration": "PT30S", "MaxDeliveryCount": 10}}]}]}}

Whatever is wrong becomes one line: file, path in it, what was found, what is allowed.
"""

import json
import re
from collections.abc import Set
from pathlib import Path
from typing import Any

from devtools.service_bus_emulator.errors import StartError
from devtools.service_bus_emulator.properties import NAMES, PropertyError, QueueProperties, from_values

QUEUE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,258}[A-Za-z0-9])?")
QUEUE_NAME_ALLOWED = "1 to 260 letters, digits, '.', '-' and '_', beginning and ending with a letter or digit"


def read(path: Path) -> dict[str, QueueProperties]:
    """The queues of a configuration file by name. Raises StartError."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StartError(f"{path}: found bytes that are not UTF-8 at {error.start}, allowed: JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        raise StartError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
    return _Reader(path).queues(document)


class _Reader:
    """Walks the document; every method gets the path of the value it reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._queues: dict[str, QueueProperties] = {}

    def queues(self, document: Any) -> dict[str, QueueProperties]:
        user_config = self._keys("the document", document, {"UserConfig"})["UserConfig"]
        namespaces = self._keys("UserConfig", user_config, {"Namespaces"}, {"Logging"})["Namespaces"]
        for number, namespace in enumerate(self._list("UserConfig.Namespaces", namespaces)):
            self._namespace(f"UserConfig.Namespaces[{number}]", namespace)
        return self._queues

    def _namespace(self, path: str, value: Any) -> None:
        namespace = self._keys(path, value, {"Queues"}, {"Name", "Topics"})
        if namespace.get("Topics"):
            self._refuse(f"{path}.Topics", f"{len(namespace['Topics'])} topic(s)", "none: only queues are supported")
        for number, queue in enumerate(self._list(f"{path}.Queues", namespace["Queues"])):
            self._queue(f"{path}.Queues[{number}]", queue)

    def _queue(self, path: str, value: Any) -> None:
        queue = self._keys(path, value, {"Name"}, {"Properties"})
        name = queue["Name"]
        if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
            self._refuse(f"{path}.Name", name, QUEUE_NAME_ALLOWED)
        if name.lower() in self._queues:
            self._refuse(f"{path}.Name", name, "every name once, in whatever case")
        properties = self._keys(f"{path}.Properties", queue.get("Properties", {}), set(), NAMES)
        try:
            self._queues[name.lower()] = from_values(properties)
        except PropertyError as error:
            self._refuse(f"{path}.Properties.{error.name}", error.found, error.allowed)

    def _keys(self, path: str, value: Any, required: Set[str], optional: Set[str] = frozenset()) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(path, value, f"an object with {', '.join(sorted(required | optional))}")
        for key in value:
            if key not in required | optional:
                self._refuse(path, f"key {key}", ", ".join(sorted(required | optional)))
        for key in required - value.keys():
            self._refuse(path, f"no key {key}", ", ".join(sorted(required | optional)))
        found: dict[str, Any] = value
        return found

    def _list(self, path: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            self._refuse(path, value, "a list")
        found: list[Any] = value
        return found

    def _refuse(self, path: str, found: Any, allowed: str) -> None:
        raise StartError(f"{self._file}: {path}: found {json.dumps(found)}, allowed: {allowed}")

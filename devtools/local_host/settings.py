"""The app settings of a local run: the environment, then `Values` of local.settings.json.

Names are compared as the real host does: letter case does not matter and `__` equals `:`.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.local_host.errors import HostError

FILE_NAME = "local.settings.json"
REFERENCE = re.compile(r"%([^%]*)%")
IDENTITY_SUFFIX = "__fullyQualifiedNamespace"


class UnresolvedSettingError(LookupError):
    """A `%NAME%` whose setting is missing; holds the name."""


@dataclass(frozen=True)
class Connection:
    """How to reach a Service Bus namespace: by connection string or, when that is None, by identity."""

    setting: str
    connection_string: str | None
    namespace: str | None = None


class AppSettings:
    """All settings of this run. `http_port` is `Host.LocalHttpPort` of local.settings.json, when given."""

    def __init__(self, values: Mapping[str, str], http_port: int | None = None) -> None:
        self.values = dict(values)
        self.http_port = http_port
        self._by_key = {_key(name): value for name, value in values.items()}

    def get(self, name: str) -> str | None:
        """The setting; an empty one counts as missing, as in the real host."""
        return self._by_key.get(_key(name)) or None

    def has(self, name: str) -> bool:
        """Whether it is set, as a text or in parts (`name__part`), as identity-based connections are."""
        return bool(self.get(name)) or any(key.startswith(_key(name) + ":") for key in self._by_key)

    def resolve(self, text: str) -> str:
        """Replace each `%NAME%`.

        Raises UnresolvedSettingError with the name of the first setting that is missing.
        """
        return REFERENCE.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        value = self.get(match[1])
        if value is None:
            raise UnresolvedSettingError(match[1])
        return value

    def connection(self, name: str) -> Connection | None:
        """The connection a binding names; None when no setting describes it."""
        for setting in (name, f"AzureWebJobs{name}"):
            if text := self.get(setting):
                return Connection(setting, connection_string=text)
            if namespace := self.get(setting + IDENTITY_SUFFIX):
                return Connection(setting + IDENTITY_SUFFIX, connection_string=None, namespace=namespace)
        return None

    def disables(self, function: str) -> bool:
        """Whether `AzureWebJobs.<function>.Disabled`, or its spelling for Linux, is true."""
        spellings = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
        return any(is_true(self.get(name)) for name in spellings)


def _key(name: str) -> str:
    return name.lower().replace("__", ":")


def is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "1"))


def load_settings(script_root: Path, environment: Mapping[str, str] | None = None) -> AppSettings:
    """Read local.settings.json under the environment, which wins.

    Raises HostError when the file is there and cannot be used.
    """
    content = _read(script_root / FILE_NAME)
    values = content.get("Values", {})
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise HostError(f"{FILE_NAME}: Values.{wrong[0]} must be a text in quotes")
    port = content.get("Host", {}).get("LocalHttpPort")
    return AppSettings(values | dict(os.environ if environment is None else environment), port)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise HostError(f"{file}: not JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("Values", {}), dict):
        raise HostError(f'{file}: expected an object with "Values": {{"NAME": "text"}}')
    if content.get("IsEncrypted"):
        raise HostError(f"{file}: IsEncrypted is true; run `func settings decrypt` or set it to false")
    return content

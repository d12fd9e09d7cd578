"""Fault files: JSON with the fields of `Faults`.

{"rates": {"server_error": 0.05, "reset_midway": 0.02}, "expired_users": 1, "retry_after_seconds": 2}
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devtools.demo_api.faults import DEFAULT_FAULTS, MOVED_RECORD, NO_FAULTS, Fault, Faults

RATES = (*Fault, MOVED_RECORD)
_WHOLE = ("expired_users", "looping_users", "retry_after_seconds", "in_a_row")
_NAMED = {"none": NO_FAULTS, "default": DEFAULT_FAULTS}


class FaultFileError(ValueError):
    """A fault file that cannot be used; says what was found and what is allowed."""


def read_faults(name: str) -> Faults:
    """The faults called `none` or `default`, or those in a JSON file. Raises FaultFileError."""
    if name in _NAMED:
        return _NAMED[name]
    try:
        return _faults(json.loads(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise FaultFileError(f"{name}: {error.strerror}; allowed: none, default or a JSON file") from None
    except FaultFileError as error:
        raise FaultFileError(f"{name}: {error}") from None
    except ValueError as error:
        raise FaultFileError(f"{name}: not JSON: {error}") from None


def fault_file(faults: Faults = DEFAULT_FAULTS) -> str:
    """The faults as a fault file, to start one's own from."""
    return json.dumps(asdict(faults), indent=2)


def _faults(content: Any) -> Faults:
    if not isinstance(content, dict) or not isinstance(content.get("rates", {}), dict):
        raise FaultFileError('not an object such as {"rates": {"server_error": 0.1}}')
    _refuse_unknown("option", content, Faults.__dataclass_fields__)
    _check_rates(content.get("rates", {}))
    for option, value in content.items():
        if option in _WHOLE and not (_is_number(value, int) and value >= 0):
            raise FaultFileError(f"{option} is {value!r}; allowed: a whole number from 0")
        if option == "slow_drip_seconds" and not (_is_number(value, int | float) and value >= 0):
            raise FaultFileError(f"{option} is {value!r}; allowed: a number from 0")
    return Faults(**content)


def _check_rates(rates: Mapping[str, Any]) -> None:
    _refuse_unknown("rate", rates, RATES)
    for name, rate in rates.items():
        if not _is_number(rate, int | float) or not 0 <= rate <= 1:
            raise FaultFileError(f"rate {name} is {rate!r}; allowed: a number from 0 to 1")
    together = sum(rate for name, rate in rates.items() if name != MOVED_RECORD)
    if together > 1:
        raise FaultFileError(f"the rates of the faults are {together:g} together; allowed: up to 1")


def _refuse_unknown(what: str, found: Iterable[str], allowed: Iterable[str]) -> None:
    for name in found:
        if name not in allowed:
            raise FaultFileError(f"unknown {what} {name!r}; allowed: {', '.join(allowed)}")


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)

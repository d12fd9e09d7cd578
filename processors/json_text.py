"""JSON as it is written and as it is compared. Pure.

orjson does it where it can. It refuses half a surrogate pair and integers of more than 64 bits, makes null of what is
no number, and writes text in UTF-8: a value with one of these is written by Python's encoder, the same way each time.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import orjson

from shared.errors import MalformedResponse
from shared.pipeline.numbers import SpeltNumber

PLAIN = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
"""What JSON has and nothing else."""


def written(value: Any) -> str:
    """JSON in pure ASCII, each number as it was sent.

    Raises MalformedResponse for a number that JSON can write and a float can't hold, and for what is too deep.
    """
    quick = _quickly(value, _as_sent, PLAIN)
    if quick is not None and quick.isascii():
        return quick.decode("ascii")
    return _slowly(value, compared=False)


def compared(value: Any) -> bytes:
    """The same bytes for values that are the same: whatever the order of fields and the spelling of numbers."""
    quick = _quickly(value, _as_compared, PLAIN | orjson.OPT_SORT_KEYS)
    return quick if quick is not None else _slowly(value, compared=True).encode("ascii")


def _quickly(value: Any, default: Any, options: int) -> bytes | None:
    try:
        quick = orjson.dumps(value, default=default, option=options)
    except orjson.JSONEncodeError:
        return None
    return None if b"null" in quick and _holds_infinite(value) else quick


def _as_sent(value: Any) -> orjson.Fragment:
    return orjson.Fragment(_checked(value).text)


def _as_compared(value: Any) -> orjson.Fragment:
    return orjson.Fragment(_checked(value).compared)


def _checked(value: Any) -> SpeltNumber:
    """Raises TypeError for everything but a number that a float can hold."""
    if isinstance(value, SpeltNumber) and math.isfinite(value):
        return value
    raise TypeError


def _slowly(value: Any, *, compared: bool) -> str:
    try:
        return _by_hand(value, compared)
    except ValueError:
        raise MalformedResponse("found a number like 1e999, allowed: numbers that fit 64-bit floats") from None
    except TypeError:  # no source can send it, a class of somebody's can make it
        raise MalformedResponse("found a value that JSON does not have, allowed: what JSON has") from None
    except RecursionError:
        raise MalformedResponse("found a record that is nested too deep") from None


def _holds_infinite(value: Any) -> bool:
    inner: Iterable[Any]
    match value:
        case dict():
            inner = value.values()
        case list():
            inner = value
        case _:
            return isinstance(value, float) and not math.isfinite(value)
    return any(_holds_infinite(each) for each in inner)


def _by_hand(value: Any, compared: bool) -> str:
    match value:
        case dict():
            pairs = sorted(value.items()) if compared else value.items()
            return "{" + ",".join(f"{_name(name)}:{_by_hand(each, compared)}" for name, each in pairs) + "}"
        case list() | tuple():
            return "[" + ",".join(_by_hand(each, compared) for each in value) + "]"
        case SpeltNumber() if math.isfinite(value):
            return value.compared if compared else value.text
        case _:
            return json.dumps(value, allow_nan=False)


def _name(name: Any) -> str:
    """JSON makes texts of numbers that are keys."""
    return json.dumps({name: 0}).rpartition(":")[0][1:] if not isinstance(name, str) else json.dumps(name)

"""JSON as it is written and as it is compared. Pure.

Python's encoder writes floats anew, so a value that holds a number of another spelling is written by hand; few do.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from shared.errors import MalformedResponse
from shared.pipeline.numbers import SpeltNumber

FRACTION = re.compile(r"(?:^|[\[ ])-?\d+(?:\.\d|e)")
"""What every float looks like in JSON; a text may look so too."""


def written(value: Any) -> str:
    """JSON in pure ASCII, each number as it was sent.

    Raises MalformedResponse for a number that JSON can write and a float can't hold, and for what is too deep.
    """
    return _text(value, compared=False)


def compared(value: Any) -> str:
    """The same text for values that are the same: whatever the order of fields and the spelling of numbers."""
    return _text(value, compared=True)


def _text(value: Any, *, compared: bool) -> str:
    try:
        text = json.dumps(value, sort_keys=compared, allow_nan=False)
        if FRACTION.search(text) and _holds_spelt(value):
            return _by_hand(value, compared)
        return text
    except ValueError:
        raise MalformedResponse("found a number like 1e999, allowed: numbers that fit 64-bit floats") from None
    except TypeError:  # no source can send it, a class of somebody's can make it
        raise MalformedResponse("found a value that JSON does not have, allowed: what JSON has") from None
    except RecursionError:
        raise MalformedResponse("found a record that is nested too deep") from None


def _holds_spelt(value: Any) -> bool:
    inner: Iterable[Any]
    match value:
        case dict():
            inner = value.values()
        case list():
            inner = value
        case _:
            return isinstance(value, SpeltNumber)
    return any(_holds_spelt(each) for each in inner)


def _by_hand(value: Any, compared: bool) -> str:
    match value:
        case dict():
            pairs = sorted(value.items()) if compared else value.items()
            return "{" + ", ".join(f"{json.dumps(name)}: {_by_hand(each, compared)}" for name, each in pairs) + "}"
        case list():
            return "[" + ", ".join(_by_hand(each, compared) for each in value) + "]"
        case SpeltNumber():
            return value.compared if compared else value.text
        case _:
            return json.dumps(value)

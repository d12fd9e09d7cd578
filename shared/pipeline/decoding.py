"""What the bytes of a body say: JSON, JSON Lines or CSV. Pure."""

import csv
import io
import json
from typing import Any

from shared.pipeline.numbers import number
from shared.pipeline.spec import Decoder

NAMES: dict[Decoder, str] = {"json": "JSON", "json_lines": "JSON Lines", "csv": "CSV"}
"""By decoder, for people."""


def decoded(body: bytes, decoder: Decoder) -> Any:
    """The value, every number as it was sent; of JSON Lines and CSV a list, in which CSV has only texts.

    Raises ValueError or RecursionError for a body that is something else.
    """
    match decoder:
        case "json":
            return _value(body)
        case "json_lines":
            return [_value(line) for line in body.splitlines() if line.strip()]
        case "csv":
            return _rows(body)


def _value(text: bytes) -> Any:
    return json.loads(text, parse_float=number, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _rows(body: bytes) -> list[dict[str, Any]]:
    """A mapping for each line behind the first, which has the names; what a shorter line lacks is null."""
    if body.lstrip().startswith(b"<"):
        raise ValueError("a page of HTML or XML")
    try:
        rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if any(None in row for row in rows):
        raise ValueError("a line has more fields than the first one")
    return rows

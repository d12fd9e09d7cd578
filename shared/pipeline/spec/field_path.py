"""A path to fields of a record, which may be changed there: names with dots between them.

JMESPath finds values; it can't say where they stand.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

NAME = re.compile(r'"([^"]+)"|([^."\[\]*]+)')
FIELD_PATH = re.compile(rf"(?:{NAME.pattern})(?:\.(?:{NAME.pattern}))*")


def steps(path: str) -> tuple[str, ...]:
    """The names along a FieldPath."""
    return tuple(quoted or plain for quoted, plain in NAME.findall(path))


def _is_field_path(value: str) -> str:
    if not FIELD_PATH.fullmatch(value):
        raise ValueError('allowed: names of fields with dots between them, such as a.b (or "a.b" for one name)')
    return value


FieldPath = Annotated[str, AfterValidator(_is_field_path)]

"""Looking into JSON with a path of a pipeline file."""

from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from shared.errors import MalformedResponse


def is_same(found: Any, value: Any) -> bool:
    """Whether a value of the body is what a pipeline file names: a number is none of true and false."""
    return bool(found == value) and isinstance(found, bool) == isinstance(value, bool)


def found_at(path: str, body: Any) -> Any:
    """What the JMESPath expression finds, None for nothing.

    Raises MalformedResponse where a function of the expression meets a value that it can't take.
    """
    try:
        return jmespath.search(path, body)
    except JMESPathError as error:
        raise MalformedResponse(f"{path}: {type(error).__name__}: the body has another shape than it takes") from None

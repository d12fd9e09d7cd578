"""What Python of yours does instead of one of the kinds that the language has."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from shared.pipeline.spec.fields import Spec

CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*|[A-Za-z_][\w.-]*")


def _is_class(value: str) -> str:
    if not CLASS.fullmatch(value):
        raise ValueError("allowed: my_module:MyClass, or the name of an entry point")
    return value


class Custom(Spec):
    """A class of yours: `my_module:MyClass`, or the name under which an installed package offers one."""

    model_config = ConfigDict(populate_by_name=False)

    type: Literal["custom"]
    class_name: Annotated[str, AfterValidator(_is_class)] = Field(alias="class")
    options: dict[str, Any] = Field(default={})

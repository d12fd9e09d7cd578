"""A stream that is fed by the records of another one."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.pipeline.spec.fields import JsonPath, Name, Spec


def _is_passed_name(value: str) -> str:
    if not re.match(r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$", value):
        raise ValueError("allowed: a letter or _, then letters, digits, - or _ (at most 63 characters)")
    return value


PassedName = Annotated[str, AfterValidator(_is_passed_name)]


class Parent(Spec):
    """Each record of the parent `stream` is a slice: its pages are asked for with what is passed along of it.

    `input_mapping` says what that is, by name; templates of the stream have it as `{parent.NAME}`. `output_mapping`
    gives each record of the stream fields with such values. In the mode `single` the parent has one record only,
    `sequential` takes one after the other, `parallel` up to `max_concurrent` at a time. With a `batch_size` a request
    asks for so many of the parent's records, and `{parent.NAME}` is the list of their values.
    """

    stream: Name
    input_mapping: Annotated[dict[PassedName, JsonPath], Field(min_length=1)]
    output_mapping: dict[str, PassedName] = Field(default={})
    processing_mode: Literal["single", "sequential", "parallel"] = "sequential"
    max_concurrent: int = Field(4, ge=1, le=32, strict=True)
    batch_size: int = Field(1, ge=1, le=1000, strict=True)

    @property
    def at_once(self) -> int:
        """How many slices are mined at a time."""
        return self.max_concurrent if self.processing_mode == "parallel" else 1

    @model_validator(mode="after")
    def _takes_what_was_passed(self) -> Self:
        for field, name in self.output_mapping.items():
            if name not in self.input_mapping:
                allowed = ", ".join(self.input_mapping)
                raise ValueError(f"found output_mapping {field}: {name}, allowed: a name of input_mapping ({allowed})")
        return self

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        if "max_concurrent" in self.model_fields_set and self.processing_mode != "parallel":
            raise ValueError(f"found max_concurrent with processing_mode {self.processing_mode}, allowed: parallel")
        if self.batch_size > 1 and self.processing_mode == "single":
            raise ValueError("found batch_size with processing_mode single, allowed: sequential or parallel")
        if self.batch_size > 1 and self.output_mapping:
            raise ValueError("found output_mapping with batch_size, allowed: without, as no record says whose it is")
        return self

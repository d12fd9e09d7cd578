"""What the responses of a source mean, where they mean something else than is usual."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.pipeline.spec.fields import JsonPath, Spec, given_one_of

Decoder = Literal["json", "json_lines", "csv"]
Scalar = bool | int | float | str | None
Meaning = Literal[
    "page",
    "end_of_data",
    "rate_limited",
    "temporary",
    "invalid_credential",
    "rejected",
    "cursor_expired",
    "too_large",
    "malformed",
]
PATIENT = frozenset({"rate_limited", "temporary"})
"""Meanings for which a source says with the usual headers how long to wait before the same page is asked for again."""

WAITING = PATIENT | {"page"}
"""Meanings for which a file may say where the source asks for a wait; behind a page, before the next one."""


def _is_regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"allowed: a regular expression ({error})") from None
    return value


def _is_status(value: int | str) -> int | str:
    allowed = 100 <= value <= 599 if isinstance(value, int) else re.fullmatch(r"[1-5]xx", value)
    if not allowed:
        raise ValueError("allowed: a status such as 404, or a class such as 5xx")
    return value


Regex = Annotated[str, AfterValidator(_is_regex)]
Status = Annotated[Annotated[int, Field(strict=True)] | str, AfterValidator(_is_status)]


class HeaderMatch(Spec):
    """A header of the response: what it is, or whether it is there."""

    name: str = Field(min_length=1)
    value: str | None = None
    regex: Regex | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        given_one_of(self, "value", "regex", "exists")
        return self


class BodyMatch(Spec):
    """A place in the body: what stands there, or whether anything does."""

    path: JsonPath
    value: Scalar = None
    regex: Regex | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        given_one_of(self, "value", "regex", "exists")
        return self


class Wait(Spec):
    """Where a response says how long to wait, or until when."""

    header: str | None = Field(None, min_length=1)
    path: JsonPath | None = None
    unit: Literal["seconds", "milliseconds", "minutes", "epoch", "http_date"] = "seconds"

    @model_validator(mode="after")
    def _is_found_in_one_place(self) -> Self:
        given_one_of(self, "header", "path")
        return self


class ResponseRule(Spec):
    """A response that has all of this means `means`; of several rules the first that fits counts.

    A wait that it asks for `blocks` its user, or all users of the app.
    """

    status: tuple[Status, ...] = ()
    header: HeaderMatch | None = None
    body: BodyMatch | None = None
    means: Meaning
    wait: Wait | None = None
    blocks: Literal["user", "app"] = "user"

    @model_validator(mode="before")
    @classmethod
    def _one_status_may_stand_alone(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("status"), int | str):
            return values | {"status": [values["status"]]}
        return values

    @model_validator(mode="after")
    def _fits_something_and_waits_for_a_reason(self) -> Self:
        if not (self.status or self.header or self.body):
            raise ValueError("found a rule for nothing, allowed: with status, header or body")
        if self.wait is not None and self.means not in WAITING:
            raise ValueError(f"found wait with {self.means}, allowed: with {' or '.join(sorted(WAITING))}")
        if self.blocks == "app" and self.means not in WAITING:
            raise ValueError(f"found blocks with {self.means}, allowed: with {' or '.join(sorted(WAITING))}")
        return self

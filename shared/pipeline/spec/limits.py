"""How much a source lets itself be asked."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import Length, Name, Spec, given_one_of

SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=31)


class Limit(Spec):
    """At most `requests` within any `span`, or at most `concurrent` at a time.

    `per` app, all users share it; per user, each has it. `streams` are those that it is about, none named: all.
    """

    per: Literal["app", "user"]
    requests: int | None = Field(None, ge=1, le=10_000_000)
    span: Length | None = None
    concurrent: int | None = Field(None, ge=1, le=500)
    streams: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _limits_one_thing(self) -> Self:
        given_one_of(self, "requests", "concurrent")
        if (self.requests is None) != (self.span is None):
            found = "requests without span" if self.span is None else "span without requests"
            raise ValueError(f"found {found}, allowed: both, such as requests: 100 and span: 1m")
        if self.span is not None and not SHORTEST <= self.span <= LONGEST:
            raise ValueError("found a span that is too short or too long, allowed: 1s to 31d")
        return self

"""What becomes of a page that can't be had."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import Duration, Length, Spec


class ErrorPolicy(Spec):
    """How often a failure is tried again, how long after, and what happens then.

    `park` stops the run where it stands until it is resumed; `fail` ends it; `continue` leaves the slice out and goes
    on, so that the run ends as partial; `skip_record` leaves out single records that can't be written.
    """

    mode: Literal["park", "fail", "continue", "skip_record"] = "park"
    max_retries: int | None = Field(None, ge=0, strict=True)
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    first: Duration = timedelta(seconds=1)
    cap: Length = timedelta(minutes=5)
    jitter: bool = True

    @model_validator(mode="after")
    def _begins_below_its_cap(self) -> Self:
        if self.first > self.cap:
            raise ValueError("found a first wait that is longer than cap, allowed: a shorter one")
        return self

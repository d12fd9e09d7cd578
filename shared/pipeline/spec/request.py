"""What a stream asks for besides path, query and headers."""

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import BodyPath, Spec


class PageSize(Spec):
    """How many records a page is to have, and how the source is told; `minimum` and `maximum` are the source's own.

    An `adaptive` size follows, between them, what the source bears and how much a user has.
    """

    param: BodyPath
    value: int = Field(ge=1, strict=True)
    minimum: int | None = Field(None, ge=1, strict=True)
    maximum: int | None = Field(None, ge=1, strict=True)
    location: Literal["query", "body"] = "query"
    adaptive: bool = False

    @model_validator(mode="after")
    def _is_within_bounds(self) -> Self:
        least, most = self.minimum or 1, self.maximum
        if self.value < least or (most is not None and self.value > most):
            allowed = f"{least} to {most}" if most is not None else f"at least {least}"
            raise ValueError(f"found a value of {self.value}, allowed: {allowed}")
        return self

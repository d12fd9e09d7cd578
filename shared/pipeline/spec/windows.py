"""How the range of a run is cut into windows of time."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import Duration, JsonPath, Length, Spec


class Split(Spec):
    """A window that is too big for the API is halved, down to `smallest`.

    It is too big where the response counts `at` records or more at `total_path`, where it has itself brought as many,
    or, with `on_rejected`, where the API refuses it.
    """

    at: int | None = Field(None, ge=1, strict=True)
    total_path: JsonPath | None = None
    on_rejected: bool = False
    smallest: Length = timedelta(seconds=1)

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if self.at is None and not self.on_rejected:
            raise ValueError("found neither at nor on_rejected, allowed: one of them or both")
        if self.total_path is not None and self.at is None:
            raise ValueError("found total_path without at, allowed: both")
        return self


class FixedWindows(Spec):
    """Windows of one size, each beginning where the last one ends, aligned to UTC and moved by `offset`."""

    type: Literal["fixed"]
    size: Length
    offset: Duration = timedelta(0)
    split: Split | None = None


class SlidingWindows(Spec):
    """Windows of one size, each beginning `overlap` before the last one ends."""

    type: Literal["sliding"]
    size: Length
    overlap: Duration
    offset: Duration = timedelta(0)
    split: Split | None = None

    @model_validator(mode="after")
    def _gets_on(self) -> Self:
        if self.overlap >= self.size:
            raise ValueError("found an overlap that is not shorter than size, allowed: a shorter one")
        return self


class SessionWindows(Spec):
    """Records between which less than `gap` passes belong together; the data itself says where a session ends."""

    type: Literal["session"]
    gap: Length

    @property
    def split(self) -> None:
        """A run asks for its whole range at once."""
        return


class GlobalWindow(Spec):
    """One window for the whole range, which may still be split."""

    type: Literal["global"]
    split: Split | None = None


Windows = Annotated[FixedWindows | SlidingWindows | SessionWindows | GlobalWindow, Field(discriminator="type")]

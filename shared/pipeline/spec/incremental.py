"""How a run goes on where the last one ended."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from shared.pipeline.marks import is_time, mark_of
from shared.pipeline.spec.fields import Duration, InitialValue, JsonPath, MarkFormat, Spec


class Incremental(Spec):
    """Each run asks for what has changed since the watermark, which moves when a run is done.

    The watermark is the furthest value that the source has shown: in a field of its records (`cursor_path`), in a
    header of a run's first response (`cursor_header`), or the moment at which the run began (`run_start`). It is sent
    as a query parameter (`start_param`) or header (`start_header`), or wherever a template says `{window.start}`.
    """

    cursor_path: JsonPath | None = None
    cursor_header: str | None = Field(None, min_length=1)
    run_start: bool = False
    format: MarkFormat = "iso"
    start_param: str | None = Field(None, min_length=1)
    start_header: str | None = Field(None, min_length=1)
    end_param: str | None = Field(None, min_length=1)
    initial_value: InitialValue | None = None
    lag: Duration = timedelta(0)

    @model_validator(mode="after")
    def _is_found_in_one_place(self) -> Self:
        given = [name for name in ("cursor_path", "cursor_header", "run_start") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"found {found}, allowed: one of cursor_path, cursor_header, run_start")
        return self

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        if self.lag and not is_time(self.format):
            raise ValueError(f"found lag with format {self.format}, allowed: lag with a format of times")
        if self.run_start and not is_time(self.format):
            raise ValueError(f"found run_start with format {self.format}, allowed: run_start with a format of times")
        if self.format == "opaque" and self.cursor_path:
            raise ValueError("found cursor_path with format opaque, which has no order, allowed: another format")
        try:
            mark_of(self.initial_value or "0", self.format if self.initial_value is not None else "text")
        except ValueError:
            raise ValueError(
                f"found initial_value: {self.initial_value!r}, allowed: a value of format {self.format}"
            ) from None
        return self

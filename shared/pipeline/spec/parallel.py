"""How a run is cut into slices that are mined side by side."""

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import Spec


class Parallel(Spec):
    """At most `max_concurrent` slices of a run are mined at a time, by whichever instances are free.

    `time_windows` are those of `windows`. `known_pages` cuts the pages of a `page_number` paginator, whose number is
    given as `pages` or told by `total_path`. `calculated_offsets` cuts the records that the first response counts at
    the `total_path` of an `offset` paginator.
    """

    strategy: Literal["time_windows", "known_pages", "calculated_offsets"]
    max_concurrent: int = Field(4, ge=1, le=32, strict=True)
    pages: int | None = Field(None, ge=1, strict=True)
    pages_per_slice: int = Field(10, ge=1, strict=True)
    records_per_slice: int = Field(1000, ge=1, strict=True)

    @model_validator(mode="after")
    def _says_what_its_strategy_reads(self) -> Self:
        read = {"known_pages": {"pages", "pages_per_slice"}, "calculated_offsets": {"records_per_slice"}}
        others = {"pages", "pages_per_slice", "records_per_slice"} - read.get(self.strategy, set())
        if strange := sorted(others & self.model_fields_set):
            raise ValueError(f"found {strange[0]} with strategy {self.strategy}, which does not read it")
        return self

"""One endpoint of the source, and what is kept of it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.field_path import FieldPath
from shared.pipeline.spec.fields import JsonPath, Name, QueryValue, Spec, Template
from shared.pipeline.spec.identity import Deleted
from shared.pipeline.spec.paginators import Paginator
from shared.pipeline.spec.transforms import Transform


class Stream(Spec):
    """One endpoint of the source.

    `records` finds the list of records in the body (absent: the body itself is the list). `primary_key` makes
    records comparable, within a run and with what the user already has; `emit` says which of them are kept:
    `changed` (new, or with other content than last time), `new` (key never seen), `all` (everything once a run).
    Fields of `ignore_changes` are no part of the content; `deleted` says how a record tells that it is gone.
    `transforms` are done with what is kept. An `extractor` is a class that finds records and cursors instead of
    `records` and `paginator`.
    """

    name: Name
    path: Template = ""
    query: dict[str, QueryValue] = Field(default={})
    headers: dict[str, Template] = Field(default={})
    records: JsonPath | None = None
    primary_key: tuple[JsonPath, ...] = ()
    emit: Literal["changed", "new", "all"] = "changed"
    ignore_changes: tuple[FieldPath, ...] = ()
    deleted: Deleted | None = None
    transforms: tuple[Transform, ...] = ()
    extractor: Custom | None = None
    paginator: Paginator
    error_path: JsonPath | None = None
    max_pages: int = Field(100_000, ge=1, strict=True)
    repeated_cursor_limit: int = Field(5, ge=1, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _one_key_may_stand_alone(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("primary_key"), str):
            return values | {"primary_key": [values["primary_key"]]}
        return values

    @model_validator(mode="before")
    @classmethod
    def _an_extractor_follows_pages_itself(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("extractor") is None:
            return values
        if found := [name for name in ("paginator", "records", "error_path") if name in values]:
            raise ValueError(f"found {found[0]} and an extractor, allowed: one of the two")
        return values | {"paginator": {"type": "single_page"}}

    @model_validator(mode="after")
    def _what_is_compared_has_a_key(self) -> Self:
        named = [name for name in ("ignore_changes", "deleted") if getattr(self, name)]
        if named and not self.primary_key:
            raise ValueError(f"found {named[0]} without a primary_key, allowed: beside one")
        return self

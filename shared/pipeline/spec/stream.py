"""One endpoint of the source, and what is kept of it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import JsonObject, JsonPath, Name, QueryValue, Spec, Template
from shared.pipeline.spec.paginators import Paginator
from shared.pipeline.spec.request import PageSize


class Stream(Spec):
    """One endpoint of the source.

    `records` finds the list of records in the body (absent: the body itself is the list). `primary_key` makes
    records comparable, within a run and with what the user already has; `emit` says which of them are kept:
    `changed` (new, or with other content than last time), `new` (key never seen), `all` (everything once a run).
    """

    name: Name
    path: Template = ""
    query: dict[str, QueryValue] = Field(default={})
    headers: dict[str, Template] = Field(default={})
    method: Literal["get", "post"] = "get"
    json_body: JsonObject | None = Field(None, alias="json")
    form: dict[str, QueryValue] | None = None
    page_size: PageSize | None = None
    records: JsonPath | None = None
    primary_key: tuple[JsonPath, ...] = ()
    emit: Literal["changed", "new", "all"] = "changed"
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

    @model_validator(mode="after")
    def _has_one_body_and_only_with_post(self) -> Self:
        bodies = [
            name for name in ("json", "form") if getattr(self, "json_body" if name == "json" else name) is not None
        ]
        if len(bodies) > 1:
            raise ValueError("found both json and form, allowed: one of them")
        if self.page_size is not None and self.page_size.location == "body":
            bodies.append("page_size.location: body")
        if bodies and self.method == "get":
            raise ValueError(f"found {bodies[0]} with the method get, allowed: method: post")
        return self

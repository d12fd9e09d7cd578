"""One endpoint of the source, and what is kept of it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.fields import JsonObject, JsonPath, Name, QueryValue, Spec, Template
from shared.pipeline.spec.paginators import Paginator
from shared.pipeline.spec.reading import ResponseRule
from shared.pipeline.spec.request import PageSize

BODY_PATHS = ("cursor_body_path", "page_body_path", "offset_body_path", "limit_body_path")


class Stream(Spec):
    """One endpoint of the source.

    `records` finds the lists of records in the body (none: the body itself is the list). `primary_key` makes
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
    records: tuple[JsonPath, ...] = ()
    primary_key: tuple[JsonPath, ...] = ()
    emit: Literal["changed", "new", "all"] = "changed"
    paginator: Paginator
    error_path: JsonPath | None = None
    responses: tuple[ResponseRule, ...] = ()
    max_pages: int = Field(100_000, ge=1, strict=True)
    repeated_cursor_limit: int = Field(5, ge=1, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _one_path_may_stand_alone(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if "records" in values and values["records"] is None:
            values = {key: value for key, value in values.items() if key != "records"}
        alone = {key: [values[key]] for key in ("primary_key", "records") if isinstance(values.get(key), str)}
        return values | alone

    @model_validator(mode="after")
    def _has_one_body_and_only_with_post(self) -> Self:
        bodies = [key for key, body in (("json", self.json_body), ("form", self.form)) if body is not None]
        if len(bodies) > 1:
            raise ValueError("found both json and form, allowed: one of them")
        bodies += self._body_paths
        if bodies and self.method == "get":
            raise ValueError(f"found {bodies[0]} with the method get, allowed: method: post")
        return self

    @model_validator(mode="after")
    def _puts_nothing_below_a_value(self) -> Self:
        for option, path in self._body_paths.items():
            inside: Any = self.json_body or {}
            for name in path.split(".")[:-1]:
                inside = inside.get(name, {})
                if not isinstance(inside, dict):
                    raise ValueError(f"found {name} with a value of its own in json, allowed: a mapping for {option}")
        return self

    @model_validator(mode="after")
    def _knows_when_a_page_is_short(self) -> Self:
        stops = getattr(self.paginator, "stop_when", ())
        if not self.asked_for and any(stop.page == "short" for stop in stops):
            raise ValueError("found stop_when: { page: short } without a size, allowed: with page_size or limit")
        return self

    @property
    def asked_for(self) -> int:
        """How many records a page is asked to have; 0 where nothing is said."""
        limit = getattr(self.paginator, "limit", None)
        return limit or (self.page_size.value if self.page_size is not None else 0)

    @property
    def _body_paths(self) -> dict[str, str]:
        """What is put into the body of a request, by option."""
        paths = {name: getattr(self.paginator, name, None) for name in BODY_PATHS}
        if self.page_size is not None and self.page_size.location == "body":
            paths["page_size.location: body"] = self.page_size.param
        return {name: path for name, path in paths.items() if path is not None}

"""One endpoint of the source, and what is kept of it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.marks import is_time
from shared.pipeline.spec.error_policy import ErrorPolicy
from shared.pipeline.spec.fields import PLACEHOLDER, JsonPath, Name, QueryValue, Spec, Template
from shared.pipeline.spec.incremental import Incremental
from shared.pipeline.spec.paginators import Paginator
from shared.pipeline.spec.windows import Windows


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
    records: JsonPath | None = None
    primary_key: tuple[JsonPath, ...] = ()
    emit: Literal["changed", "new", "all"] = "changed"
    paginator: Paginator
    incremental: Incremental | None = None
    windows: Windows | None = None
    stop_when: Literal["all_seen"] | None = None
    on_error: ErrorPolicy = ErrorPolicy()
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
    def _can_tell_what_it_has_seen(self) -> Self:
        if self.stop_when == "all_seen" and (not self.primary_key or self.emit == "all"):
            raise ValueError("found stop_when: all_seen, allowed: with a primary_key, and emit: changed or new")
        return self

    @model_validator(mode="after")
    def _has_a_window_to_speak_of(self) -> Self:
        named = {name for scope, name in PLACEHOLDER.findall(self.model_dump_json()) if scope == "window"}
        if strange := sorted(named - {"start", "end"}):
            raise ValueError(f"found {{window.{strange[0]}}}, allowed: {{window.start}}, {{window.end}}")
        begins = self.incremental is not None and (self.incremental.initial_value is not None)
        if named and not begins:
            raise ValueError("found {window.…}, allowed: with incremental and its initial_value")
        if self.windows is not None:
            self._check_windows(named, begins=begins)
        return self

    def _check_windows(self, named: set[str], *, begins: bool) -> None:
        asks = self.incremental
        if asks is None or not is_time(asks.format) or not begins:
            raise ValueError("found windows, allowed: with incremental in a format of times and its initial_value")
        if not ((asks.start_param or asks.start_header or "start" in named) and (asks.end_param or "end" in named)):
            raise ValueError("found windows, allowed: with start_param and end_param, or templates that say the window")
        if self.stop_when is not None:
            raise ValueError("found windows and stop_when, allowed: one of them")
        split = self.windows.split if self.windows else None
        if split is not None and split.total_path is None and not self.primary_key:
            raise ValueError("found split without total_path and without primary_key, allowed: one of them")

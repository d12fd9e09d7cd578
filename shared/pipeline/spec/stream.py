"""One endpoint of the source, and what is kept of it."""

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.marks import is_time
from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.error_policy import ErrorPolicy
from shared.pipeline.spec.field_path import FieldPath
from shared.pipeline.spec.fields import (
    PLACEHOLDER,
    Duration,
    JsonObject,
    JsonPath,
    Name,
    QueryValue,
    Schedule,
    Spec,
    Template,
)
from shared.pipeline.spec.identity import Deleted
from shared.pipeline.spec.incremental import Incremental
from shared.pipeline.spec.off_peak import OffPeak
from shared.pipeline.spec.paginators import CURSOR_PLACES, Cursor, Offset, PageNumber, Paginator
from shared.pipeline.spec.parallel import Parallel
from shared.pipeline.spec.parent import Parent
from shared.pipeline.spec.reading import Decoder, ResponseRule
from shared.pipeline.spec.request import PageSize
from shared.pipeline.spec.transforms import Transform
from shared.pipeline.spec.windows import SessionWindows, Windows

NOT_WITH_PARENT = ("incremental", "windows", "parallel", "stop_when", "schedule", "stagger")
"""What tells slices apart in another way, knows one watermark for all of them, or says when a run begins."""

PAGES = {"page_number": "{page.number}", "offset": "{page.offset}", "cursor": "{page.cursor}"}
"""The placeholder that says which page is meant, by type of paginator."""

PLACES = (*CURSOR_PLACES, "page_param", "page_body_path", "offset_param", "offset_body_path")
"""Options that say where that is sent instead."""

BODY_PATHS = ("cursor_body_path", "page_body_path", "offset_body_path", "limit_body_path")


class Stream(Spec):
    """One endpoint of the source.

    `schedule` says when its runs start, `stagger` over how long the users are spread, `off_peak` when the source may be
    asked (none: as the pipeline says).
    `records` finds the lists of records in the body (none: the body itself is the list). `primary_key` makes
    records comparable, within a run and with what the user already has; `emit` says which of them are kept:
    `changed` (new, or with other content than last time), `new` (key never seen), `all` (everything once a run).
    Fields of `ignore_changes` are no part of the content; `deleted` says how a record tells that it is gone.
    `decoder` says what bodies are.
    `transforms` are done with what is kept. An `extractor` is a class that finds records and cursors instead of
    `records` and `paginator`.
    """

    name: Name
    schedule: Schedule | None = None
    stagger: Duration | None = None
    off_peak: OffPeak | None = None
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
    ignore_changes: tuple[FieldPath, ...] = ()
    deleted: Deleted | None = None
    transforms: tuple[Transform, ...] = ()
    extractor: Custom | None = None
    decoder: Decoder = "json"
    paginator: Paginator
    incremental: Incremental | None = None
    windows: Windows | None = None
    parallel: Parallel | None = None
    parent: Parent | None = None
    stop_when: Literal["all_seen"] | None = None
    on_error: ErrorPolicy = ErrorPolicy()
    error_path: JsonPath | None = None
    responses: tuple[ResponseRule, ...] = ()
    pages_per_message: int | None = Field(None, ge=1, le=50, strict=True)
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

    @model_validator(mode="after")
    def _can_tell_what_it_has_seen(self) -> Self:
        if self.stop_when == "all_seen" and (not self.primary_key or self.emit == "all"):
            raise ValueError("found stop_when: all_seen, allowed: with a primary_key, and emit: changed or new")
        return self

    @cached_property
    def says_page(self) -> bool:
        """Whether a template says which page is meant, and no parameter."""
        asked = self.model_dump_json(include={"path", "query", "headers", "json_body", "form"})
        return any(scope == "page" for scope, _ in PLACEHOLDER.findall(asked))

    @model_validator(mode="after")
    def _says_in_one_place_which_page_is_meant(self) -> Self:
        placeholder = PAGES.get(self.paginator.type, "")
        named = {f"{{page.{name}}}" for scope, name in PLACEHOLDER.findall(self.model_dump_json()) if scope == "page"}
        if strange := sorted(named - {placeholder}):
            allowed = placeholder or "with a paginator of type page_number, offset or cursor"
            raise ValueError(f"found {strange[0]}, allowed: {allowed}")
        options = [name for name in PLACES if name in self.paginator.model_fields_set]
        options = [name for name in options if getattr(self.paginator, name) is not None]
        if options and named:
            raise ValueError(f"found {placeholder} and {options[0]}, allowed: one of them")
        if isinstance(self.paginator, Cursor):
            if not named and not options:
                raise ValueError(f"found no place for the cursor, allowed: {', '.join(CURSOR_PLACES)} or {placeholder}")
            if not named and self.paginator.initial_cursor is not None:
                raise ValueError(f"found initial_cursor without {placeholder}, allowed: both or neither")
        return self

    @model_validator(mode="after")
    def _has_a_window_to_speak_of(self) -> Self:
        named = {name for scope, name in PLACEHOLDER.findall(self.model_dump_json()) if scope == "window"}
        if strange := sorted(named - {"start", "end"}):
            raise ValueError(f"found {{window.{strange[0]}}}, allowed: {{window.start}}, {{window.end}}")
        begins = self.incremental is not None and (self.incremental.initial_value is not None)
        if named and not begins:
            raise ValueError("found {window.…}, allowed: with incremental and its initial_value")
        if isinstance(self.windows, SessionWindows):
            self._check_sessions()
        elif self.windows is not None:
            self._check_windows(named, begins=begins)
        return self

    @model_validator(mode="after")
    def _can_be_cut(self) -> Self:
        if self.parallel is None:
            return self
        strategy = self.parallel.strategy
        if strategy == "time_windows" and (self.windows is None or self.windows.type in {"global", "session"}):
            raise ValueError("found parallel by time_windows, allowed: with windows of type fixed or sliding")
        if strategy == "known_pages":
            self._check_known_pages(self.parallel)
        counted = isinstance(self.paginator, Offset) and self.paginator.is_counted
        if strategy == "calculated_offsets" and not counted:
            raise ValueError(
                "found calculated_offsets, allowed: with paginator type offset and its total_path or total_header"
            )
        if self.stop_when is not None or (self.incremental is not None and self.incremental.cursor_header):
            raise ValueError("found parallel with stop_when or cursor_header, which need the order of the pages")
        if strategy != "time_windows" and self.windows is not None:
            raise ValueError(f"found windows with parallel by {strategy}, allowed: by time_windows")
        return self

    def _check_known_pages(self, parallel: Parallel) -> None:
        if not isinstance(self.paginator, PageNumber):
            raise ValueError("found known_pages, allowed: with paginator type page_number")
        if parallel.pages is None and not self.paginator.is_counted:
            raise ValueError(
                "found known_pages, allowed: with pages, or the total_path or total_header of the paginator"
            )

    def _check_sessions(self) -> None:
        asks = self.incremental
        if asks is None or asks.cursor_path is None or not is_time(asks.format):
            raise ValueError("found windows of type session, allowed: with incremental by a cursor_path of times")
        if self.stop_when is not None or self.parallel is not None:
            raise ValueError("found windows of type session with stop_when or parallel, which need no order of time")

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

    @model_validator(mode="before")
    @classmethod
    def _an_extractor_follows_pages_itself(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("extractor") is None:
            return values
        if found := [name for name in ("paginator", "records", "error_path", "decoder") if name in values]:
            raise ValueError(f"found {found[0]} and an extractor, allowed: one of the two")
        return values | {"paginator": {"type": "single_page"}}

    @model_validator(mode="after")
    def _may_change_the_size_of_its_pages(self) -> Self:
        if self.page_size is None or not self.page_size.adaptive:
            return self
        if self.paginator.type not in {"cursor", "offset"} or getattr(self.paginator, "limit", None) is not None:
            found = f"{self.paginator.type}{' with limit' if self.paginator.type == 'offset' else ''}"
            raise ValueError(f"found an adaptive page_size with {found}, allowed: with cursor, or offset without limit")
        return self

    @model_validator(mode="after")
    def _has_a_parent_to_speak_of(self) -> Self:
        passed = self.parent.input_mapping if self.parent else {}
        text = self.model_dump_json(exclude={"parent"})
        named = [name for scope, name in PLACEHOLDER.findall(text) if scope == "parent"]
        for name in named:
            if name not in passed:
                allowed = ", ".join(f"{{parent.{each}}}" for each in passed) or "with parent"
                raise ValueError(f"found {{parent.{name}}}, allowed: {allowed}")
        if self.parent is not None:
            for option in NOT_WITH_PARENT:
                if getattr(self, option) is not None:
                    raise ValueError(f"found {option} with parent, allowed: on the parent's stream")
        return self

    @property
    def at_once(self) -> int:
        """How many slices of a run are mined at a time."""
        if self.parent is not None:
            return self.parent.at_once
        return self.parallel.max_concurrent if self.parallel is not None else 1

    @model_validator(mode="after")
    def _what_is_compared_has_a_key(self) -> Self:
        named = [name for name in ("ignore_changes", "deleted") if getattr(self, name)]
        if named and not self.primary_key:
            raise ValueError(f"found {named[0]} without a primary_key, allowed: beside one")
        return self

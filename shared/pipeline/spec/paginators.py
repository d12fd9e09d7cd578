"""How pages are followed."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.fields import BodyPath, JsonPath, Spec, given_one_of


class StopWhen(Spec):
    """What says that a page is the last: a value in the body (None: null or nothing), or how full the page is."""

    path: JsonPath | None = None
    value: bool | int | float | str | None = None
    page: Literal["empty", "short"] | None = None

    @model_validator(mode="after")
    def _is_one_sign(self) -> Self:
        given_one_of(self, "path", "page")
        if self.page is not None and "value" in self.model_fields_set:
            raise ValueError("found value without path, allowed: both or neither")
        return self


def _one_may_stand_alone(values: Any) -> Any:
    return [values] if isinstance(values, dict) else values


Stops = Annotated[tuple[StopWhen, ...], BeforeValidator(_one_may_stand_alone)]


class SinglePage(Spec):
    """The first response is all there is."""

    type: Literal["single_page"]


class JsonLink(Spec):
    """The body names the URL of the next page, absolute or relative; absent, null or empty ends the run."""

    type: Literal["json_link"]
    next_url_path: JsonPath
    stop_when: Stops = ()


class HeaderLink(Spec):
    """The `Link` header names the next page as `rel="next"`, or another header is its URL; none ends the run."""

    type: Literal["header_link"]
    next_url_header: str | None = Field(None, min_length=1)
    stop_when: Stops = ()


class NextQuery(Spec):
    """The body has an object whose entries are parameters of the next request; absent, null or empty ends the run."""

    type: Literal["next_query"]
    next_query_path: JsonPath
    stop_when: Stops = ()


CURSOR_PLACES = ("cursor_param", "cursor_request_header", "cursor_body_path")
"""Where a cursor is sent, unless a template says so."""


class Cursor(Spec):
    """The response names a cursor that is sent with the next request; absent, null or empty ends the run."""

    type: Literal["cursor"]
    cursor_path: JsonPath | None = None
    cursor_header: str | None = Field(None, min_length=1)
    cursor_record_path: JsonPath | None = None
    cursor_param: str | None = Field(None, min_length=1)
    cursor_request_header: str | None = Field(None, min_length=1)
    cursor_body_path: BodyPath | None = None
    initial_cursor: str | None = None
    stop_when: Stops = ()

    @model_validator(mode="after")
    def _is_found_in_one_place_and_sent_in_one_at_most(self) -> Self:
        given_one_of(self, "cursor_path", "cursor_header", "cursor_record_path")
        if any(getattr(self, name) is not None for name in CURSOR_PLACES):
            given_one_of(self, *CURSOR_PLACES)
        return self


def _check_total(path: str | None, header: str | None) -> None:
    if path and header:
        raise ValueError("found total_path and total_header, allowed: one of them")


class PageNumber(Spec):
    """Pages are counted; a page without records ends the run, or what else is said to end it."""

    type: Literal["page_number"]
    page_param: str = "page"
    page_body_path: BodyPath | None = None
    base_page: int = Field(1, ge=0, strict=True)
    total_path: JsonPath | None = None
    total_header: str | None = Field(None, min_length=1)
    stop_when: Stops = ()

    @model_validator(mode="after")
    def _counts_in_one_place(self) -> Self:
        _check_total(self.total_path, self.total_header)
        return self

    @property
    def is_counted(self) -> bool:
        """Whether the source says how many pages there are."""
        return bool(self.total_path or self.total_header)


class Offset(Spec):
    """Records are counted, by what came or by `limit`; a page without records ends the run, or what else is said."""

    type: Literal["offset"]
    offset_param: str = "offset"
    offset_body_path: BodyPath | None = None
    base_offset: int = Field(0, ge=0, strict=True)
    limit: int | None = Field(None, ge=1, strict=True)
    limit_param: str = "limit"
    limit_body_path: BodyPath | None = None
    total_path: JsonPath | None = None
    total_header: str | None = Field(None, min_length=1)
    stop_when: Stops = ()

    @model_validator(mode="after")
    def _counts_in_one_place(self) -> Self:
        _check_total(self.total_path, self.total_header)
        return self

    @property
    def is_counted(self) -> bool:
        """Whether the source says how many records there are."""
        return bool(self.total_path or self.total_header)

    @model_validator(mode="after")
    def _names_its_limit_where_it_has_one(self) -> Self:
        named = sorted(self.model_fields_set & {"limit_param", "limit_body_path"})
        if named and self.limit is None:
            raise ValueError(f"found {named[0]} without limit, allowed: both or neither")
        return self


Paginator = Annotated[
    SinglePage | JsonLink | HeaderLink | NextQuery | Cursor | PageNumber | Offset | Custom,
    Field(discriminator="type"),
]

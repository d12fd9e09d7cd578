"""How pages are followed."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.fields import JsonPath, Spec


class SinglePage(Spec):
    """The first response is all there is."""

    type: Literal["single_page"]


class JsonLink(Spec):
    """The body names the URL of the next page, absolute or relative; absent, null or empty ends the run."""

    type: Literal["json_link"]
    next_url_path: JsonPath


class HeaderLink(Spec):
    """The `Link` header names the next page as `rel="next"`; none ends the run."""

    type: Literal["header_link"]


class Cursor(Spec):
    """The body or a header names a cursor that is sent as a query parameter; absent, null or empty ends the run."""

    type: Literal["cursor"]
    cursor_path: JsonPath | None = None
    cursor_header: str | None = Field(None, min_length=1)
    cursor_param: str = Field(min_length=1)

    @model_validator(mode="after")
    def _is_found_in_one_place(self) -> Self:
        if (self.cursor_path is None) == (self.cursor_header is None):
            found = "neither" if self.cursor_path is None else "both"
            raise ValueError(f"found {found}, allowed: one of cursor_path, cursor_header")
        return self


class PageNumber(Spec):
    """Pages are counted in a query parameter; a page without records ends the run, or `total_path` pages."""

    type: Literal["page_number"]
    page_param: str = "page"
    base_page: int = Field(1, ge=0, strict=True)
    total_path: JsonPath | None = None


class Offset(Spec):
    """Records are counted in a query parameter; a page without records ends the run, or `total_path` records."""

    type: Literal["offset"]
    offset_param: str = "offset"
    base_offset: int = Field(0, ge=0, strict=True)
    total_path: JsonPath | None = None


Paginator = Annotated[
    SinglePage | JsonLink | HeaderLink | Cursor | PageNumber | Offset | Custom, Field(discriminator="type")
]

"""The language of pipeline files: one file describes a source, its streams and how they are read.

Every model refuses unknown keys. `docs/pipelines.md` is the reference.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import jmespath
from croniter import croniter
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.messages import Priority

NAME = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
PLACEHOLDER = re.compile(r"\{([a-z]+)\.([A-Za-z0-9_.-]+)\}")


def _is_name(value: str) -> str:
    if not NAME.match(value):
        raise ValueError("allowed: a lower-case letter, then letters, digits, - or _ (at most 63 characters)")
    return value


def _is_path(value: str) -> str:
    try:
        jmespath.compile(value)
    except JMESPathError as error:
        raise ValueError(f"allowed: a JMESPath expression ({str(error).splitlines()[0]})") from None
    return value


def _is_schedule(value: str) -> str:
    if len(value.split()) != 6 or not croniter.is_valid(value, second_at_beginning=True):
        raise ValueError('allowed: an NCRONTAB of six fields (second first), such as "0 0 * * * *"')
    return value


def _is_base_url(value: str) -> str:
    if not re.match(r"^(https?://[^/?#]+|\{params\.)", value):
        raise ValueError("allowed: http:// or https:// and a host, or {params.…}")
    return value


def _is_origin(value: str) -> str:
    if not re.match(r"^https?://[^/?#]+$", value):
        raise ValueError("allowed: https://HOST without a path")
    return value


def _template_of(*scopes: str) -> AfterValidator:
    def check(value: str) -> str:
        for scope, name in PLACEHOLDER.findall(value):
            if scope not in scopes:
                allowed = ", ".join(f"{{{scope}.…}}" for scope in scopes)
                raise ValueError(f"found {{{scope}.{name}}}, allowed: {allowed}")
            if scope == "user" and name != "id":
                raise ValueError(f"found {{user.{name}}}, allowed: {{user.id}}")
        return value

    return AfterValidator(check)


Name = Annotated[str, AfterValidator(_is_name)]
JsonPath = Annotated[str, AfterValidator(_is_path)]
Schedule = Annotated[str, AfterValidator(_is_schedule)]
Template = Annotated[str, _template_of("user", "params")]
BaseUrl = Annotated[Template, AfterValidator(_is_base_url)]
Origin = Annotated[str, AfterValidator(_is_origin)]
SecretTemplate = Annotated[str, _template_of("user", "params", "credentials")]
QueryValue = Template | int | float | bool


class Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Bearer(Spec):
    """`Authorization: Bearer TOKEN`."""

    type: Literal["bearer"]
    token: SecretTemplate


class ApiKey(Spec):
    """A key in a header or in the query, under `name`."""

    type: Literal["api_key"]
    name: str = Field(min_length=1)
    key: SecretTemplate
    location: Literal["header", "query"] = "header"


class HttpBasic(Spec):
    """`Authorization: Basic …`."""

    type: Literal["http_basic"]
    username: SecretTemplate
    password: SecretTemplate


class HeadersAuth(Spec):
    """Several headers that carry the credential together."""

    type: Literal["headers"]
    headers: dict[str, SecretTemplate] = Field(min_length=1)


class NoAuth(Spec):
    """A source that asks nobody who they are."""

    type: Literal["none"]


Auth = Annotated[Bearer | ApiKey | HttpBasic | HeadersAuth | NoAuth, Field(discriminator="type")]


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


Paginator = Annotated[SinglePage | JsonLink | HeaderLink | Cursor | PageNumber | Offset, Field(discriminator="type")]


class Source(Spec):
    """The API: where it is and how one user is let in.

    `allowed_origins` are origins besides that of `base_url` to which next links may lead; the credential goes
    to these origins only.
    """

    base_url: BaseUrl
    auth: Auth
    headers: dict[str, Template] = {}
    allowed_origins: tuple[Origin, ...] = ()


class Stream(Spec):
    """One endpoint of the source.

    `records` finds the list of records in the body (absent: the body itself is the list). `primary_key` makes
    records comparable, within a run and with what the user already has; `emit` says which of them are kept:
    `changed` (new, or with other content than last time), `new` (key never seen), `all` (everything once a run).
    """

    name: Name
    path: Template = ""
    query: dict[str, QueryValue] = {}
    headers: dict[str, Template] = {}
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


def _stream_names_differ(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    names = [stream.name for stream in streams]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"found two streams named {twice[0]!r}, allowed: one name for one stream")
    return streams


class Pipeline(Spec):
    """One pipeline file."""

    pipeline: Name
    source: Source
    streams: Annotated[tuple[Stream, ...], Field(min_length=1), AfterValidator(_stream_names_differ)]
    schedule: Schedule = "0 0 * * * *"
    priority: Priority = Priority.NORMAL

    def stream(self, name: str) -> Stream | None:
        return next((stream for stream in self.streams if stream.name == name), None)

    @property
    def credentials(self) -> frozenset[str]:
        """Names of the credentials that every user of this pipeline must have."""
        text = " ".join(str(value) for value in self.source.auth.model_dump().values())
        return frozenset(name for scope, name in PLACEHOLDER.findall(text) if scope == "credentials")

    @property
    def params(self) -> frozenset[str]:
        """Names of the parameters that every user of this pipeline must have."""
        text = self.model_dump_json()
        return frozenset(name for scope, name in PLACEHOLDER.findall(text) if scope == "params")


MODELS: dict[str, type[Spec]] = {
    "source": Source,
    "streams": Stream,
    "bearer": Bearer,
    "api_key": ApiKey,
    "http_basic": HttpBasic,
    "headers": HeadersAuth,
    "none": NoAuth,
    "single_page": SinglePage,
    "json_link": JsonLink,
    "header_link": HeaderLink,
    "cursor": Cursor,
    "page_number": PageNumber,
    "offset": Offset,
}
"""Which part of the language a step of an error's location leads into."""


def keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that are allowed beside the last step of `location`, which pydantic names with types as steps."""
    inside = [MODELS[step] for step in location[:-1] if isinstance(step, str) and step in MODELS]
    return sorted((inside[-1] if inside else Pipeline).model_fields)

"""What the values of a pipeline file may be."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import jmespath
from croniter import croniter
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from shared.pipeline.marks import FORMATS

NAME = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
STREAM_SCOPES = ("user", "params", "window", "parent", "page")
"""What the templates of a stream may name."""

SPAN = re.compile(r"^(?=.)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
ISO_SPAN = re.compile(r"^P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$")
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


def _as_span(value: Any) -> Any:
    found = SPAN.match(value) or ISO_SPAN.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("allowed: a span such as 30m, 1h, 1d12h or P1D")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError("allowed: a span of less than a million years") from None


def _is_longer_than_nothing(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("found an empty span, allowed: a longer one")
    return value


def _as_text(value: Any) -> Any:
    """YAML reads an unquoted date as one."""
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _is_mark_format(value: str) -> str:
    if value not in FORMATS and "%" not in value:
        raise ValueError(f"allowed: {', '.join(FORMATS)} or a pattern such as %Y-%m-%d %H:%M:%S")
    return value


def _is_body_path(value: str) -> str:
    if not re.match(r"^[^.\s]+(\.[^.\s]+)*$", value):
        raise ValueError("allowed: names with dots between them, such as page.after")
    return value


def _json_of(*scopes: str) -> AfterValidator:
    """Nothing that YAML knows and JSON does not, and no placeholder of another scope."""
    return AfterValidator(lambda value: _check_json(value, scopes))


def _check_json(value: Any, scopes: tuple[str, ...], where: str = "") -> Any:
    match value:
        case dict():
            for key, each in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"found the key {key!r} at {where or 'the top'}, allowed: a text")
                _check_json(each, scopes, f"{where}.{key}".removeprefix("."))
        case list():
            for number, each in enumerate(value):
                _check_json(each, scopes, f"{where}[{number}]")
        case str():
            _check_template(value, scopes)
        case float() if value - value != 0:
            raise ValueError(f"found {value} at {where}, allowed: a number that JSON knows")
        case None | bool() | int() | float():
            pass
        case _:
            found = type(value).__name__
            raise ValueError(f"found a {found} at {where}, allowed: what JSON knows (put quotes around it)")
    return value


def _template_of(*scopes: str) -> AfterValidator:
    def check(value: str) -> str:
        _check_template(value, scopes)
        return value

    return AfterValidator(check)


def _check_template(value: str, scopes: tuple[str, ...]) -> None:
    for scope, name in PLACEHOLDER.findall(value):
        if scope not in scopes:
            allowed = ", ".join(f"{{{scope}.…}}" for scope in scopes)
            raise ValueError(f"found {{{scope}.{name}}}, allowed: {allowed}")
        if scope == "user" and name != "id":
            raise ValueError(f"found {{user.{name}}}, allowed: {{user.id}}")


Name = Annotated[str, AfterValidator(_is_name)]
JsonPath = Annotated[str, AfterValidator(_is_path)]
Schedule = Annotated[str, AfterValidator(_is_schedule)]
Duration = Annotated[timedelta, BeforeValidator(_as_span)]
Length = Annotated[Duration, AfterValidator(_is_longer_than_nothing)]
InitialValue = Annotated[str | int, BeforeValidator(_as_text)]
MarkFormat = Annotated[str, AfterValidator(_is_mark_format)]
SourceTemplate = Annotated[str, _template_of("user", "params")]
Template = Annotated[str, _template_of(*STREAM_SCOPES)]
BaseUrl = Annotated[SourceTemplate, AfterValidator(_is_base_url)]
Origin = Annotated[str, AfterValidator(_is_origin)]
SecretTemplate = Annotated[str, _template_of("user", "params", "credentials")]
QueryValue = Template | int | float | bool
BodyPath = Annotated[str, AfterValidator(_is_body_path)]
JsonObject = Annotated[dict[str, Any], _json_of(*STREAM_SCOPES)]
SecretJsonObject = Annotated[dict[str, Any], _json_of("user", "params", "credentials")]


class Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def given_one_of(spec: Spec, *names: str) -> None:
    """Raises ValueError unless the file gives exactly one of these; null is given as a `value` only."""
    there = (name for name in names if name in spec.model_fields_set)
    given = [name for name in there if name == "value" or getattr(spec, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise ValueError(f"found {found}, allowed: one of {', '.join(names)}")

"""`docs/pipeline.schema.json`, made from the models: `python -m devtools.pipeline_schema > docs/pipeline.schema.json`.

Editors complete and check pipeline files with it. It says what a schema can say; `headframe validate` says the rest.
`tests/test_pipeline_schema.py` fails when the file is not what this prints.
"""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.pipeline.marks import FORMATS
from shared.pipeline.spec import Pipeline, off_peak
from shared.pipeline.spec import fields as kinds

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMED = r"[A-Za-z0-9_.-]+"

KINDS: tuple[tuple[Any, JsonSchemaValue], ...] = (
    (
        kinds.Name,
        {
            "description": "A lower-case letter, then letters, digits, - or _ (at most 63 characters).",
            "pattern": kinds.NAME.pattern,
        },
    ),
    (kinds.JsonPath, {"description": "A JMESPath expression.", "minLength": 1}),
    (
        kinds.Schedule,
        {
            "description": 'An NCRONTAB of six fields (second first), such as "0 0 * * * *".',
            "pattern": r"^\s*\S+(\s+\S+){5}\s*$",
        },
    ),
    (
        kinds.Duration,
        {
            "type": "string",
            "description": "A span such as 30m, 1h, 1d12h or P1D.",
            "pattern": f"({kinds.SPAN.pattern})|({kinds.ISO_SPAN.pattern})",
        },
    ),
    (kinds.Length, {"description": "A span such as 30m, 1h, 1d12h or P1D, longer than nothing.", "pattern": "[1-9]"}),
    (
        kinds.MarkFormat,
        {
            "description": f"{', '.join(FORMATS)}, or a pattern such as %Y-%m-%d %H:%M:%S.",
            "anyOf": [{"enum": list(FORMATS)}, {"pattern": "%"}],
        },
    ),
    (
        kinds.BaseUrl,
        {
            "description": "http:// or https:// and a host, or {params.…}.",
            "pattern": r"^(https?://[^/?#]+|\{params\.)",
        },
    ),
    (
        off_peak.TimeOfDay,
        {
            "type": "string",
            "description": 'Hours and minutes, such as "22:00".',
            "pattern": f"^{off_peak.CLOCK.pattern}$",
        },
    ),
    (off_peak.TimeZone, {"description": "A time zone such as UTC or Europe/Berlin."}),
    (kinds.Origin, {"description": "https://HOST without a path.", "pattern": r"^https?://[^/?#]+$"}),
)
"""What a schema can say of each kind of value that is checked by a function."""

BY_CHECK: dict[Callable[..., Any], JsonSchemaValue] = {get_args(kind)[-1].func: said for kind, said in KINDS}


class _Schema(GenerateJsonSchema):
    """pydantic's own, which does not know what our functions check."""

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        return _with(super().function_after_schema(schema), _said_by(schema["function"]["function"]))

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        said = _said_by(schema["function"]["function"])
        inner = super().function_before_schema(schema)
        return said if "type" in said else _with(inner, said)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        found.pop("title", None)
        for name in _may_stand_alone(schema["cls"], found.get("properties", {})):
            one_or_more = found["properties"][name]
            default = {"default": one_or_more.pop("default")} if "default" in one_or_more else {}
            found["properties"][name] = {"anyOf": [one_or_more["items"], one_or_more], **default}
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title that repeats the key tells nobody anything."""
        return False


def schema() -> JsonSchemaValue:
    """The whole schema."""
    return {"$schema": DIALECT, "title": "A pipeline file", **Pipeline.model_json_schema(schema_generator=_Schema)}


def reference() -> str:
    """The whole file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _said_by(check: Callable[..., Any]) -> JsonSchemaValue:
    """A copy, or nothing for a check that no schema can express."""
    if check in BY_CHECK:
        return dict(BY_CHECK[check])
    scopes = inspect.getclosurevars(check).nonlocals.get("scopes") if inspect.isfunction(check) else None
    return _template(scopes) if scopes else {}


def _template(scopes: tuple[str, ...]) -> JsonSchemaValue:
    """Text in which placeholders have these scopes only; other braces are no placeholders."""
    right = [r"user\.id\}" if scope == "user" else rf"{scope}\.{NAMED}\}}" for scope in scopes]
    shown = ", ".join("{user.id}" if scope == "user" else f"{{{scope}.…}}" for scope in scopes)
    return {
        "description": f"Text; placeholders: {shown}.",
        "pattern": rf"^(?![\s\S]*\{{(?!{'|'.join(right)})[a-z]+\.{NAMED}\}})",
    }


def _with(found: JsonSchemaValue, said: JsonSchemaValue) -> JsonSchemaValue:
    """Both; of two patterns both must fit."""
    merged = {**found, **said}
    if "pattern" in found and "pattern" in said:
        merged["allOf"] = [*found.get("allOf", []), {"pattern": found["pattern"]}]
    return merged


def _may_stand_alone(model: type[BaseModel], properties: dict[str, JsonSchemaValue]) -> Iterator[str]:
    """Lists of which a single member may stand without its brackets: the model itself says so when it is asked."""
    checks = model.__pydantic_decorators__.model_validators
    before = [getattr(model, name) for name, check in checks.items() if check.info.mode == "before"]
    for name, said in properties.items():
        if said.get("type") == "array" and any(check({name: "x"}) == {name: ["x"]} for check in before):
            yield name


if __name__ == "__main__":
    print(reference(), end="")

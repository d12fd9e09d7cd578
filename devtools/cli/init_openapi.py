"""What an OpenAPI 3 document says that a pipeline file needs; what had to be guessed is said in comments."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from devtools.cli.init_draft import AUTH, Draft, Part, StreamDraft
from devtools.cli.init_paging import Answer, paging_of
from shared.errors import BadInput

DEEPEST = 6
"""Steps from one reference to the next; a document may go round in circles."""

LISTS = ("data", "items", "results", "records", "values", "entries", "value", "content", "list", "rows", "objects")
"""Properties that hold the records, by how likely they do."""

KEYS = ("id", "uuid", "_id", "key", "name")
WHOLE_URL = re.compile(r"https?://[\w.:-]+(/[^?#{}\s]*)?")
VERSION = re.compile(r"(v\d+(\.\d+)*|api|rest)")

Mapping = dict[str, Any]


class Document:
    """An OpenAPI document whose references can be followed, within itself only."""

    def __init__(self, root: Mapping):
        self.root = root

    def at(self, value: Any, *path: str) -> Any:
        """The value below, references resolved; None for nothing."""
        value = self._resolved(value)
        for key in path:
            value = self._resolved(value.get(key)) if isinstance(value, dict) else None
        return value

    def mapping(self, value: Any, *path: str) -> Mapping:
        found = self.at(value, *path)
        return found if isinstance(found, dict) else {}

    def list(self, value: Any, *path: str) -> list[Any]:
        found = self.at(value, *path)
        return [self._resolved(each) for each in found] if isinstance(found, list) else []

    def properties(self, schema: Any, depth: int = 0) -> Mapping:
        """Those of an object, with all that `allOf` adds; of alternatives the first counts."""
        schema = self.mapping(schema)
        parts = [*self.list(schema, "allOf"), *self.list(schema, "oneOf")[:1], *self.list(schema, "anyOf")[:1]]
        found: Mapping = {}
        for part in parts if depth < DEEPEST else []:
            found |= self.properties(part, depth + 1)
        return found | self.mapping(schema, "properties")

    def is_list(self, schema: Any, depth: int = 0) -> bool:
        schema = self.mapping(schema)
        if "array" in (schema.get("type"), *_listed(schema.get("type"))):
            return True
        parts = [*self.list(schema, "allOf"), *self.list(schema, "oneOf")[:1], *self.list(schema, "anyOf")[:1]]
        return depth < DEEPEST and any(self.is_list(part, depth + 1) for part in parts)

    def _resolved(self, value: Any) -> Any:
        for _ in range(DEEPEST):
            reference = value.get("$ref") if isinstance(value, dict) else None
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return value
            value = self.root
            for step in reference[2:].split("/"):
                key = step.replace("~1", "/").replace("~0", "~")
                value = value.get(key) if isinstance(value, dict) else None
        return None


def read_document(file: Path) -> Document:
    """Raises BadInput for what is no OpenAPI 3 document."""
    try:
        text = file.read_text(encoding="utf-8")
        root = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except OSError as error:
        raise BadInput(f"{file}: found {error.strerror}, allowed: a readable OpenAPI document") from None
    except (ValueError, yaml.YAMLError, RecursionError):
        raise BadInput(f"{file}: found neither JSON nor YAML, allowed: an OpenAPI document of version 3") from None
    version = root.get("openapi", root.get("swagger")) if isinstance(root, dict) else None
    if not str(version).startswith("3"):
        found = f"version {version}" if version else "no version"
        raise BadInput(f"{file}: found {found}, allowed: an OpenAPI document of version 3")
    return Document(root)


def draft_of(name: str, document: Document, base_url: str | None, auth: Part | None) -> Draft:
    """A stream for each GET operation that answers with a list; the options given count more than the document.

    `base_url` of the draft is empty where the document has none that is whole. Raises BadInput where it has no such
    operation.
    """
    streams = tuple(_streams(document))
    if not streams:
        raise BadInput("--openapi: found no GET operation that answers with a list, allowed: a document that has one")
    title = str(document.at(document.root, "info", "title") or "an API")
    notes = (f"Proposed from the OpenAPI document of {title}.", "Lines marked «guessed» are worth a look.")
    return Draft(name, base_url or _server(document), auth or _auth(document), streams, notes)


def _server(document: Document) -> str:
    for server in document.list(document.root, "servers"):
        url = str(document.at(server, "url") or "")
        for name, variable in document.mapping(server, "variables").items():
            url = url.replace(f"{{{name}}}", str(document.at(variable, "default")))
        if WHOLE_URL.fullmatch(url):
            return url.rstrip("/")
    return ""


def _auth(document: Document) -> Part:
    """By the first requirement that names a scheme, of the document or else of its operations."""
    demanded = [document.root, *(operation for _, _, operation in _operations(document))]
    names = [name for each in demanded for need in document.list(each, "security") for name in document.mapping(need)]
    schemes = document.mapping(document.root, "components", "securitySchemes")
    if not names or names[0] not in schemes:
        return Part("none", {}, ("guessed: the document demands no credential",))
    return _scheme(names[0], document.mapping(schemes, names[0]))


def _scheme(name: str, scheme: Mapping) -> Part:
    found = f"security scheme {name}"
    match scheme.get("type"), str(scheme.get("scheme", scheme.get("in"))).lower():
        case "http", "basic":
            return Part("http_basic", AUTH["http_basic"].options, (found,))
        case "apiKey", "header" | "query" as location:
            options = {"name": str(scheme.get("name")), "key": "{credentials.key}", "location": location}
            return Part("api_key", options, (found,))
        case "apiKey", "cookie":
            headers = {"Cookie": f"{scheme.get('name')}={{credentials.key}}"}
            return Part("headers", {"headers": headers}, (f"{found}, which is a cookie",))
        case "http", "bearer":
            return Part("bearer", AUTH["bearer"].options, (found,))
        case kind, _:
            return Part(
                "bearer", AUTH["bearer"].options, (f"guessed: {found} is {kind}; the users bring their tokens",)
            )


def _operations(document: Document) -> Iterator[tuple[str, Mapping, Mapping]]:
    """Path, path item and operation of each GET."""
    for path, item in document.mapping(document.root, "paths").items():
        operation = document.mapping(item, "get")
        if operation:
            yield str(path), document.mapping(item), operation


def _streams(document: Document) -> Iterator[StreamDraft]:
    taken: set[str] = set()
    for path, item, operation in _operations(document):
        answer = _answer(document, operation)
        if answer is not None:
            stream = _stream(document, path, item, operation, answer, taken)
            taken.add(stream.name)
            yield stream


def _stream(
    document: Document, path: str, item: Mapping, operation: Mapping, answer: Answer, taken: set[str]
) -> StreamDraft:
    parameters = [*document.list(operation, "parameters"), *document.list(item, "parameters")]
    asked = {str(each.get("name")): each for each in parameters if isinstance(each, dict) and each.get("in") == "query"}
    paginator, query = paging_of(asked, answer, document.mapping)
    followed = {str(value) for name, value in paginator.options.items() if name.endswith("_param")}
    needed = {name for name, each in asked.items() if each.get("required") is True} - followed - query.keys()
    values = {name: _value(document, asked[name], name) for name in sorted(needed)}
    notes = [f"{path}: {operation.get('summary') or operation.get('operationId') or 'no summary'}"]
    notes += [f"guessed: the list of records is {answer.records!r}"] if answer.is_guessed else []
    notes += [f"guessed: the value of {name}, which the source wants to have" for name in values]
    notes += [f"each user needs a parameter {name}" for name in _named_in(path)]
    filled = re.sub(r"\{([^{}]*)\}", lambda found: f"{{params.{_param(found.group(1))}}}", path)
    key = next((key for key in KEYS if key in answer.record), None)
    return StreamDraft(_name(path, taken), filled, paginator, answer.records, key, {**values, **query}, tuple(notes))


def _answer(document: Document, operation: Mapping) -> Answer | None:
    """What the operation answers with, if that is a list or has one."""
    responses = document.mapping(operation, "responses")
    status = next((each for each in responses if str(each).upper() in {"200", "2XX"}), "default")
    response = document.mapping(responses, status)
    for kind, content in document.mapping(response, "content").items():
        if re.fullmatch(r"(application/([\w.-]+\+)?json|\*/\*)", str(kind).partition(";")[0].strip()):
            schema = document.mapping(content, "schema")
            headers = {str(name).lower() for name in document.mapping(response, "headers")}
            return _listed_answer(document, schema, headers)
    return None


def _listed_answer(document: Document, schema: Mapping, headers: set[str]) -> Answer | None:
    if document.is_list(schema):
        return Answer(None, document.properties(document.at(schema, "items")), {}, headers)
    flat = dict(_flattened(document, schema, "", 0))
    lists = {path: each for path, each in flat.items() if document.is_list(each)}
    if not lists:
        return None
    objects = {path: each for path, each in lists.items() if document.properties(document.at(each, "items"))}
    path, sure = _likeliest(list(objects or lists))
    return Answer(path, document.properties(document.at(lists[path], "items")), flat, headers, is_guessed=not sure)


def _likeliest(paths: list[str]) -> tuple[str, bool]:
    """The path to the records, and whether there was no doubt."""
    for name in LISTS:
        for path in paths:
            if path.rpartition(".")[2] == name:
                return path, True
    return min(paths, key=lambda path: path.count(".")), len(paths) == 1


def _flattened(document: Document, schema: Any, prefix: str, depth: int) -> Iterator[tuple[str, Mapping]]:
    """Properties three levels deep, by their JMESPath."""
    for name, each in document.properties(schema).items():
        step = name if re.fullmatch(r"[A-Za-z_]\w*", str(name)) else json.dumps(str(name))
        path = f"{prefix}.{step}" if prefix else step
        yield path, document.mapping(each)
        if depth < 2 and not document.is_list(each):
            yield from _flattened(document, each, path, depth + 1)


def _value(document: Document, parameter: Mapping, name: str) -> Any:
    """What the document itself gives for a value that must be there; else each user brings one."""
    schema = document.mapping(parameter, "schema")
    choices = [parameter.get("example"), schema.get("default"), schema.get("example"), *_listed(schema.get("enum"))]
    found = next((each for each in choices if isinstance(each, str | int | float) and "{" not in str(each)), None)
    return f"{{params.{_param(name)}}}" if found is None else found


def _named_in(path: str) -> list[str]:
    return [_param(name) for name in re.findall(r"\{([^{}]*)\}", path)]


def _param(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name) or "value"


def _name(path: str, taken: set[str]) -> str:
    """From the fixed parts of the path, unlike the names that are taken."""
    parts = [part for part in path.split("/") if part and "{" not in part and not VERSION.fullmatch(part.lower())]
    words = [re.sub(r"[^a-z0-9]+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", part).lower()).strip("_") for part in parts]
    plain = "_".join(filter(None, words)) or "records"
    plain = (plain if plain[0].isalpha() else f"s_{plain}")[:55]
    return next(name for n in range(1, 10_000) if (name := plain if n == 1 else f"{plain}_{n}") not in taken)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

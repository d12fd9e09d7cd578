"""A pipeline file that is about to be written: its parts, a template for each kind of part, and its text."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

PLAIN = re.compile(r"[A-Za-z0-9_./:-]+")
LONGEST_COMMENT = 110


@dataclass(frozen=True, slots=True)
class Part:
    """A mapping with a `type`: the options that are set, and why; options that may be worth setting as comments."""

    type: str
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamDraft:
    """`records` None: the body itself is the list."""

    name: str
    path: str
    paginator: Part
    records: str | None = None
    primary_key: str | None = None
    query: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    name: str
    base_url: str
    auth: Part
    streams: tuple[StreamDraft, ...]
    notes: tuple[str, ...] = ()


AUTH: dict[str, Part] = {
    "bearer": Part("bearer", {"token": "{credentials.token}"}, ("Authorization: Bearer TOKEN",)),
    "api_key": Part(
        "api_key",
        {"name": "X-API-Key", "key": "{credentials.key}", "location": "header"},
        ("the header or query parameter is called `name`; location is header or query",),
    ),
    "http_basic": Part(
        "http_basic",
        {"username": "{credentials.username}", "password": "{credentials.password}"},
        ("Authorization: Basic …",),
    ),
    "headers": Part(
        "headers",
        {"headers": {"X-Client-Id": "{credentials.client_id}", "X-Client-Secret": "{credentials.client_secret}"}},
        ("several headers that carry the credential together",),
    ),
    "oauth2_client_credentials": Part(
        "oauth2_client_credentials",
        {
            "token_url": "https://login.example.com/oauth/token",
            "client_id": "{credentials.client_id}",
            "client_secret": "{credentials.client_secret}",
        },
        ("an access token is asked for, and renewed, with the client's own credentials",),
    ),
    "oauth2_refresh_token": Part(
        "oauth2_refresh_token",
        {
            "token_url": "https://login.example.com/oauth/token",
            "client_id": "{params.client_id}",
            "refresh_token": "{credentials.refresh_token}",
        },
        ("an access token is asked for, and renewed, with the user's refresh token, which may change each time",),
    ),
    "login": Part(
        "login",
        {
            "login_url": "https://api.example.com/login",
            "json": {"username": "{credentials.username}", "password": "{credentials.password}"},
            "token_path": "token",
        },
        ("a token is asked for with what the login wants; token_path says where it stands in the answer (JMESPath)",),
        ("name: X-Session  # the header that carries it, where that is not Authorization: Bearer TOKEN",),
    ),
    "none": Part("none", {}, ("the source asks nobody who they are",)),
}
"""One for each way of authentication."""

PAGINATORS: dict[str, Part] = {
    "single_page": Part("single_page", {}, ("the first response is all there is",)),
    "json_link": Part(
        "json_link", {"next_url_path": "next"}, ("where the body names the URL of the next page (JMESPath)",)
    ),
    "header_link": Part("header_link", {}, ('the Link header names the next page as rel="next"',)),
    "cursor": Part(
        "cursor",
        {"cursor_path": "next_cursor", "cursor_param": "cursor"},
        ("where the body names the cursor (JMESPath), and the query parameter that sends it back",),
        ("cursor_header: X-Next-Cursor  # instead of cursor_path, where a header names it",),
    ),
    "next_query": Part(
        "next_query",
        {"next_query_path": "next"},
        ("where the body has an object whose entries are the parameters of the next request (JMESPath)",),
    ),
    "page_number": Part(
        "page_number",
        {"page_param": "page", "base_page": 1},
        ("the query parameter that counts pages, and its first value; a page without records ends the run",),
        ("total_path: meta.total_pages  # where the body counts its pages (JMESPath)",),
    ),
    "offset": Part(
        "offset",
        {"offset_param": "offset", "base_offset": 0},
        ("the query parameter that counts records, and its first value; a page without records ends the run",),
        ("total_path: meta.total  # where the body counts all records (JMESPath)",),
    ),
}
"""One for each way of following pages."""


def text_of(draft: Draft, schema: str | None) -> str:
    """The file. `schema` is where editors find its schema, seen from the file."""
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += _comments(draft.notes, "")
    lines += [f"pipeline: {_scalar(draft.name)}", '# schedule: "0 0 * * * *"  # when runs start, second first, in UTC']
    lines += ["source:", f"  base_url: {_scalar(draft.base_url)}", *_part("auth", draft.auth, "  ")]
    lines += ["  # headers: { Accept-Language: en }  # sent with every request", "streams:"]
    for stream in draft.streams:
        lines += _stream(stream)
    return "\n".join(lines) + "\n"


def _stream(stream: StreamDraft) -> Iterator[str]:
    yield from _comments(stream.notes, "  ")
    yield f"  - name: {_scalar(stream.name)}"
    yield f"    path: {_scalar(stream.path)}"
    if stream.query:
        yield f"    query: {_flow(stream.query)}"
    else:
        yield "    # query: { limit: 100 }  # the larger the page, the fewer the requests"
    if stream.records is None:
        yield "    # records: data  # where the body has its list (JMESPath); without this the body itself is the list"
    else:
        yield f"    records: {_scalar(stream.records)}"
    if stream.primary_key is None:
        yield "    # primary_key: id  # makes records comparable, so that only new and changed ones are written"
    else:
        yield f"    primary_key: {_scalar(stream.primary_key)}"
    yield from _part("paginator", stream.paginator, "    ")


def _part(key: str, part: Part, indent: str) -> Iterator[str]:
    yield f"{indent}{key}:"
    yield from _comments(part.notes, f"{indent}  ")
    yield f"{indent}  type: {part.type}"
    for name, value in part.options.items():
        yield f"{indent}  {name}: {_flow(value) if isinstance(value, dict) else _scalar(value)}"
    yield from (f"{indent}  # {hint}" for hint in part.hints)


def _comments(notes: tuple[str, ...], indent: str) -> Iterator[str]:
    for note in notes:
        text = " ".join("".join(each if each.isprintable() else " " for each in note).split())
        yield f"{indent}# {text if len(text) <= LONGEST_COMMENT else text[: LONGEST_COMMENT - 1] + '…'}"


def _flow(values: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{_scalar(name)}: {_scalar(value)}" for name, value in values.items()) + " }"


def _scalar(value: Any) -> str:
    """As plain as YAML can read it back."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and ":" not in value[-1:] and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)

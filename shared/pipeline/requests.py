"""What to ask a source for one page. Pure: the credential is attached later, inside the transport."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from shared.errors import RequestRejected
from shared.pipeline.extensions import extension, guarded, required
from shared.pipeline.pagination import decoded_query, sends_types, untyped
from shared.pipeline.spec import (
    Cursor,
    Custom,
    HeaderLink,
    JsonLink,
    NextQuery,
    Offset,
    PageNumber,
    Pipeline,
    QueryValue,
    Stream,
)
from shared.pipeline.templates import Scopes, render, render_json

ACCEPTED = {"json_lines": "application/x-ndjson, application/jsonl, */*;q=0.1", "csv": "text/csv, */*;q=0.1"}
"""What is asked for where pages are not JSON, unless the file says something else."""

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request without its credential, and the origins that may receive it."""

    url: str
    headers: dict[str, str]
    origins: frozenset[str]
    method: str = "GET"
    content: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class _Parts:
    """What is asked, while the page size and the cursor are put in; `body` is None where there is none."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any] | None
    is_form: bool

    def put(self, param: str | None, path: str | None, value: str | int | float) -> None:
        """Into the body where there is a path, into the query otherwise."""
        if path is not None:
            self.put_into_body(path, value)
        elif param is not None:
            self.put_into_query(param, str(value))

    def put_into_headers(self, name: str, value: str) -> None:
        others = {other: each for other, each in self.headers.items() if other.lower() != name.lower()}
        self.headers = {**others, name: value}

    def put_into_query(self, name: str, value: str) -> None:
        self.url = _with_query(self.url, {name: value})

    def put_into_body(self, path: str, value: str | int | float) -> None:
        """Under a dotted path in JSON, under the path as a name in a form; made where there is none."""
        self.body = {} if self.body is None else self.body
        *above, last = [path] if self.is_form else path.split(".")
        inside = self.body
        for name in above:
            if not isinstance(inside.get(name), dict):
                inside[name] = {}
            inside = inside[name]
        inside[last] = value

    def sent_headers(self) -> dict[str, str]:
        if self.body is None or "content-type" in map(str.lower, self.headers):
            return self.headers
        kind = "application/x-www-form-urlencoded" if self.is_form else "application/json"
        return {**self.headers, "Content-Type": kind}

    def content(self) -> bytes | None:
        if self.body is None:
            return None
        if self.is_form:
            return urlencode(self.body).encode()
        return json.dumps(self.body, separators=(",", ":")).encode()


def page_request(pipeline: Pipeline, stream: Stream, cursor: str | None, scopes: Scopes) -> PageRequest:
    """The request for the page at `cursor` (None: the first). Raises RequestRejected for a foreign next link."""
    base = _base_url(pipeline, scopes)
    origins = frozenset({origin_of(base), *map(origin_of, pipeline.source.allowed_origins)})
    if stream.says_page:
        scopes = {**scopes, "page": _page(stream, cursor)}
    parts = _first(base, pipeline, stream, scopes)
    _put_span(parts, stream, scopes)
    _put_cursor(parts, stream, cursor)
    request = PageRequest(parts.url, parts.sent_headers(), origins, stream.method.upper(), parts.content())
    if isinstance(stream.paginator, Custom):
        request = _customised(stream.paginator, request, cursor)
    if (origin := origin_of(request.url)) not in origins:
        raise RequestRejected(f"the next link leads to {origin}, allowed: {', '.join(sorted(origins))}")
    return request


def _customised(custom: Custom, first: PageRequest, cursor: str | None) -> PageRequest:
    with guarded(custom):
        found: PageRequest = required(custom, extension("paginators", custom).request(first, cursor), PageRequest)
    return replace(found, origins=first.origins)


def resolved(base: str, link: str) -> str:
    """A link as it was met at `base`. Raises RequestRejected for what is no URL."""
    try:
        return urljoin(base, link)
    except ValueError:
        raise RequestRejected("found a malformed URL, allowed: http(s)://host/…") from None


def origin_of(url: str) -> str:
    """Scheme, host and port, comparable: lower case, default port written out.

    Raises RequestRejected for what is not an http(s) URL with a host.
    """
    try:
        parts = urlsplit(url)
        host, port = _ascii(parts.hostname or ""), parts.port
    except ValueError:
        raise RequestRejected("found a malformed URL, allowed: http(s)://host/…") from None
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise RequestRejected(f"found a URL of scheme {parts.scheme!r}, allowed: http(s)://host/…")
    return f"{parts.scheme}://{host}:{port or DEFAULT_PORTS[parts.scheme]}"


def _ascii(host: str) -> str:
    """An international host name as it goes over the wire. Raises ValueError for one that can't."""
    return host.lower() if host.isascii() else host.encode("idna").decode("ascii")


def _base_url(pipeline: Pipeline, scopes: Scopes) -> str:
    return render(pipeline.source.base_url, scopes).rstrip("/")


def _joined(base: str, stream: Stream, scopes: Scopes) -> str:
    path = render(stream.path, scopes, for_path=True)
    return f"{base}/{path.lstrip('/')}" if path else base


def _first(base: str, pipeline: Pipeline, stream: Stream, scopes: Scopes) -> _Parts:
    """Everything but the cursor."""
    url = _with_query(_joined(base, stream, scopes), _rendered(stream.query, scopes))
    templates = {**pipeline.source.headers, **stream.headers}
    headers = {name: render(value, scopes) for name, value in templates.items()}
    if stream.decoder in ACCEPTED and "accept" not in map(str.lower, headers):
        headers["Accept"] = ACCEPTED[stream.decoder]
    parts = _Parts(url, headers, None, is_form=stream.form is not None)
    if stream.form is not None:
        parts.body = dict(_rendered(stream.form, scopes))
    elif stream.json_body is not None:
        parts.body = render_json(stream.json_body, scopes)
    if (size := stream.page_size) is not None and size.location == "body":
        parts.put_into_body(size.param, size.value)
    elif size is not None:
        parts.put_into_query(size.param, str(size.value))
    return parts


def _put_span(parts: _Parts, stream: Stream, scopes: Scopes) -> None:
    """What asks for what has changed; without a mark there is nothing to ask with."""
    marks, asks = scopes.get("window", {}), stream.incremental
    if asks is None:
        return
    for param, edge in ((asks.start_param, "start"), (asks.end_param, "end")):
        if param is not None and edge in marks:
            parts.put_into_query(param, marks[edge])
    if asks.start_header is not None and "start" in marks:
        parts.put_into_headers(asks.start_header, marks["start"])


def _page(stream: Stream, cursor: str | None) -> dict[str, str | int]:
    """What the placeholder of the page stands for."""
    match stream.paginator:
        case PageNumber(base_page=base):
            return {"number": base if cursor is None else int(cursor)}
        case Offset(base_offset=base):
            return {"offset": base if cursor is None else int(cursor)}
        case Cursor(initial_cursor=initial):
            return {"cursor": (initial or "") if cursor is None else cursor}
        case _:
            return {}


def _rendered(values: Mapping[str, QueryValue], scopes: Scopes) -> dict[str, str]:
    return {name: render(_text(value), scopes) for name, value in values.items()}


def _text(value: QueryValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put_cursor(parts: _Parts, stream: Stream, cursor: str | None) -> None:
    match stream.paginator:
        case JsonLink() | HeaderLink() if cursor is not None:
            parts.url = resolved(parts.url, cursor)
        case NextQuery() if cursor is not None:
            parts.url = _with_query(parts.url, decoded_query(cursor))
        case PageNumber() | Cursor() if stream.says_page:
            pass
        case Cursor(cursor_request_header=str(name)) if cursor is not None:
            parts.put_into_headers(name, cursor)
        case Cursor(cursor_param=param, cursor_body_path=path) if cursor is not None:
            parts.put(param, path, untyped(cursor) if sends_types(stream) else cursor)
        case PageNumber(page_param=param, page_body_path=path, base_page=base):
            parts.put(param, path, base if cursor is None else int(cursor))
        case Offset(offset_param=param, offset_body_path=path, base_offset=base) as offset:
            if not stream.says_page:
                parts.put(param, path, base if cursor is None else int(cursor))
            if offset.limit is not None:
                parts.put(offset.limit_param, offset.limit_body_path, offset.limit)


def _with_query(url: str, query: dict[str, str]) -> str:
    """`url` with these parameters set, others kept."""
    if not query:
        return url
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in query]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()])))

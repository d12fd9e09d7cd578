"""What to ask a source for one page. Pure: the credential is attached later, inside the transport."""

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from shared.errors import RequestRejected
from shared.pipeline.extensions import extension, guarded, required
from shared.pipeline.spec import (
    Cursor,
    Custom,
    HeaderLink,
    JsonLink,
    Offset,
    PageNumber,
    Pipeline,
    SinglePage,
    Stream,
)
from shared.pipeline.templates import Scopes, render

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request without its credential, and the origins that may receive it."""

    url: str
    headers: dict[str, str]
    origins: frozenset[str]


def page_request(pipeline: Pipeline, stream: Stream, cursor: str | None, scopes: Scopes) -> PageRequest:
    """The request for the page at `cursor` (None: the first). Raises RequestRejected for a foreign next link."""
    base = _base_url(pipeline, scopes)
    origins = frozenset({origin_of(base), *map(origin_of, pipeline.source.allowed_origins)})
    first = _with_query(_joined(base, stream, scopes), _query(stream, scopes))
    url = _at_cursor(first, stream, cursor)
    templates = {**pipeline.source.headers, **stream.headers}
    request = PageRequest(url, {name: render(value, scopes) for name, value in templates.items()}, origins)
    if isinstance(stream.paginator, Custom):
        request = _customised(stream.paginator, request, cursor)
    if origin_of(request.url) not in origins:
        raise RequestRejected(f"the next link leads to {origin_of(request.url)}, allowed: {', '.join(sorted(origins))}")
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


def _query(stream: Stream, scopes: Scopes) -> dict[str, str]:
    return {name: render(_text(value), scopes) for name, value in stream.query.items()}


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at_cursor(first: str, stream: Stream, cursor: str | None) -> str:
    match stream.paginator:
        case JsonLink() | HeaderLink():
            return first if cursor is None else resolved(first, cursor)
        case Cursor(cursor_param=param):
            return first if cursor is None else _with_query(first, {param: cursor})
        case PageNumber(page_param=param, base_page=base):
            return _with_query(first, {param: str(base) if cursor is None else cursor})
        case Offset(offset_param=param, base_offset=base):
            return _with_query(first, {param: str(base) if cursor is None else cursor})
        case SinglePage() | Custom():
            return first


def _with_query(url: str, query: dict[str, str]) -> str:
    """`url` with these parameters set, others kept."""
    if not query:
        return url
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in query]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()])))

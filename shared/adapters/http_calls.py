"""Requests as they go over the wire, and the headers of what comes back."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

import aiohttp
from yarl import URL

from shared.pipeline.requests import origin_of

LONGEST_URL = 65_536

PATH_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#<>?`{}')
QUERY_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#<>')
"""What stays as it is, percent signs too: a signed link must not be written anew."""

DEFAULTS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "headframe"}

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*(?<![ \t])")
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Unsendable(Exception):
    """The request is none; nothing was sent. The message is the name of an error, with nothing of the request."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, secrets and all. `origin` is what a connection is shared by."""

    method: str
    url: URL = field(repr=False)
    origin: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)


def call(method: str, url: str, headers: Mapping[str, str], content: bytes | None = None) -> Call:
    """A request as it will be sent. Raises RequestRejected for what is no URL, Unsendable for what HTTP can't say."""
    origin = origin_of(url)
    if len(url) > LONGEST_URL or CONTROL.search(url):
        raise Unsendable("InvalidURL")
    if not all(NAME.fullmatch(name) and VALUE.fullmatch(value) for name, value in headers.items()):
        raise Unsendable("InvalidHeader")
    parts = urlsplit(url)
    if parts.username and "authorization" not in map(str.lower, headers):
        headers = {**headers, "Authorization": _basic(parts)}
    try:
        return Call(method, _as_sent(origin, parts), origin, headers, content)
    except ValueError as error:
        raise Unsendable(type(error).__name__) from None


def merged(*layers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers over the defaults; later ones replace earlier ones, whatever their case."""
    chosen = {name.lower(): (name, value) for layer in (DEFAULTS.items(), *layers) for name, value in layer}
    return dict(chosen.values())


def header_texts(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """By name in lower case; those that came several times are joined, and what is not UTF-8 is read as Latin-1."""
    texts: dict[str, str] = {}
    for name, value in answer.headers.items():
        key, text = name.lower(), (value if value.isascii() else _without_surrogates(value)).strip(" \t")
        texts[key] = f"{texts[key]}, {text}" if key in texts else text
    return texts


def _without_surrogates(value: str) -> str:
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _basic(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _as_sent(origin: str, parts: SplitResult) -> URL:
    """Only what can't stand in a request line is encoded; everything else stays byte for byte."""
    scheme, _, rest = origin.partition("://")
    host, _, port = rest.rpartition(":")
    if not HOST.fullmatch(host):
        raise Unsendable("InvalidURL")
    authority = f"[{host}]:{port}" if ":" in host else rest
    query = f"?{quote(parts.query, QUERY_SAFE)}" if parts.query else ""
    return URL(f"{scheme}://{authority}{quote(parts.path, PATH_SAFE)}{query}", encoded=True)

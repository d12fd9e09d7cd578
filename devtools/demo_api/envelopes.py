"""The JSON around the records of a page: one shape per stream, so that two ways of paging can be read.

posts      {"data": […], "paging": {"cursors": {"after": "…"}, "next": "http://…"}}   no `next`: the end
comments   {"data": […], "next_cursor": "…"}                                          null: the end
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Link:
    """What a page needs to name the next one. `url` is the stream's own, without a query."""

    url: str
    token: str
    limit: int


def posts(records: bytes, after: str | None, more: bool, link: Link) -> bytes:
    """As Graph does it: the next URL is absolute and repeats the access token."""
    if after is None:
        return b'{"data":[]}'
    paging: dict[str, object] = {"cursors": {"after": after}}
    if more:
        query = urlencode({"access_token": link.token, "limit": link.limit, "after": after})
        paging["next"] = f"{link.url}?{query}"
    return b'{"data":[' + records + b'],"paging":' + json.dumps(paging).encode() + b"}"


def comments(records: bytes, after: str | None, more: bool, link: Link) -> bytes:
    """The next cursor in the body; it goes into the query parameter `cursor`."""
    cursor = json.dumps(after if more else None).encode()
    return b'{"data":[' + records + b'],"next_cursor":' + cursor + b"}"


Envelope = Callable[[bytes, str | None, bool, Link], bytes]
ENVELOPES: dict[str, Envelope] = {"posts": posts, "comments": comments}
CURSOR_PARAMETERS = {"posts": "after", "comments": "cursor"}

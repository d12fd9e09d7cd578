"""What a class of yours must have, to be named in a pipeline file as `custom`. `docs/extending.md` shows how.

A class is made once in a process, as `MyClass(options)`, and used for all users and pages, many at a time: it must not
remember anything between two calls. If it has an attribute `Options` that is a pydantic model, `options` is one of
these, else a dict. Whatever it raises besides a SourceError makes the page `malformed`; whatever an output raises lets
delivery come back for it later.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from shared.pipeline.extensions import PageSeen
from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Page, Response

__all__ = [
    "CustomAuth",
    "CustomExtractor",
    "CustomOutput",
    "CustomPaginator",
    "CustomTransform",
    "Fetch",
    "Fill",
    "Page",
    "PageRequest",
    "PageSeen",
    "Response",
]

Fill = Callable[[str], str]
"""A template → the text with this user's values. Raises RequestRejected naming a placeholder without a value."""

Fetch = Callable[[PageRequest], Awaitable[Response]]
"""Asks the source, with the user's credential, through the user's own client.

The response has a status from 200 to 299; any other is raised as the SourceError that it means.
"""


class CustomPaginator(Protocol):
    """How pages are followed."""

    def request(self, first: PageRequest, cursor: str | None) -> PageRequest:
        """The request for the page at `cursor`; None is the first, for which `first` may do as it is."""
        ...

    def next_cursor(self, page: PageSeen) -> str | None:
        """Where the next page starts, or None at the end. It is stored: no secret may stand in it."""
        ...


class CustomAuth(Protocol):
    """How one user is let in. Credentials are those that `options` name as `{credentials.NAME}`."""

    def headers(self, fill: Fill) -> Mapping[str, str]:
        """The headers that carry the credential."""
        ...

    def query(self, fill: Fill) -> Mapping[str, str]:
        """The query parameters that carry it."""
        ...


class CustomTransform(Protocol):
    """What is done with a record that is kept."""

    def transformed(self, record: dict[str, Any], fill: Fill) -> dict[str, Any]:
        """Another record; the one that is given is not changed."""
        ...


class CustomExtractor(Protocol):
    """Where records and the next cursor come from, whatever the protocol."""

    async def page(self, first: PageRequest, cursor: str | None, fetch: Fetch) -> Page:
        """The page at `cursor` (None: the first). `first` is what the stream's path, query and headers ask for.

        Its records are what JSON can write. The next cursor is stored: no secret may stand in it.
        """
        ...


class CustomOutput(Protocol):
    """Where committed records go."""

    async def write(self, name: str, lines: bytes) -> None:
        """Keep a batch, JSON Lines in ASCII, and return when it is safe.

        The same name always comes with the same lines, and comes again if a delivery was cut off: what is there
        already must not be there twice. Names have pipeline, stream, run, slice and pages, in this order, and are
        unique. A call that takes more than 20 seconds is given up.
        """
        ...

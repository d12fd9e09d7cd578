"""Fetching the first pages of a stream as the miner would, without keeping anything."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.adapters.source_http import Source
from shared.errors import CursorLoop, SourceError
from shared.pipeline.auth import Attachment, attachment, secrets_of, without_secrets
from shared.pipeline.chains import Values, parent_scope
from shared.pipeline.requests import PageRequest, page_request, resolved
from shared.pipeline.responses import Page, Response, read_page
from shared.pipeline.slices import Slice, plan_of
from shared.pipeline.spec import HeaderLink, JsonLink, Pipeline, Stream
from shared.pipeline.templates import Scopes
from shared.pipeline.watermarks import Span, span_of, window_scope
from shared.users import User


@dataclass(frozen=True, slots=True)
class Look:
    """What came of asking for one page. `error` None: `page` is there. `seconds` until the whole response was had.

    `following` is the request for the page behind this one; where it can't be made, `error` says why although the page
    itself was read.
    """

    number: int
    request: PageRequest | None = None
    response: Response | None = None
    seconds: float = 0
    page: Page | None = None
    following: PageRequest | None = None
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: one stream for one user, from the beginning."""

    pipeline: Pipeline
    stream: Stream
    user: User
    now: datetime
    access: str = field(default="", repr=False)
    """The access token, where the source wants one."""
    parents: tuple[Values, ...] = ()
    """What its parent passes along, for a stream that is fed."""

    @property
    def slice(self) -> Slice:
        """The first slice of a first run."""
        asks = self.stream.incremental
        span = span_of(asks, "", self.now) if asks else Span()
        return plan_of(self.stream, span).slice_at(0) or Slice()

    @property
    def scopes(self) -> Scopes:
        span = Span(self.slice.since, self.slice.until)
        return {
            "user": {"id": self.user.id},
            "params": self.user.params,
            "credentials": self.user.credentials,
            "access": {"token": self.access},
            "parent": parent_scope(self.stream.parent, self.parents),
            "window": window_scope(self.stream.incremental, span),
        }

    @property
    def attachment(self) -> Attachment:
        return attachment(self.pipeline, self.scopes)

    def request(self, cursor: str | None) -> PageRequest:
        """Raises SourceError where a next link leads elsewhere, or is none."""
        return page_request(self.pipeline, self.stream, cursor, self.scopes)


async def looks(
    subject: Subject,
    pages: int,
    source: Source,
    now: Callable[[], datetime],
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Look]:
    """At most `pages` pages; the last one may be the one that could not be had."""
    cursor: str | None = None
    seen: set[str] = set()
    for number in range(1, pages + 1):
        look = await _look(subject, number, cursor, source, now, clock)
        cursor = look.page.cursor if look.page else None
        if cursor is not None and cursor in seen:
            look = replace(look, error=CursorLoop("the source names a cursor that it has named before"))
        yield look
        if look.error is not None or cursor is None:
            return
        seen.add(cursor)


async def _look(
    subject: Subject,
    number: int,
    cursor: str | None,
    source: Source,
    now: Callable[[], datetime],
    clock: Callable[[], float],
) -> Look:
    """One page; a failure of the source is part of the answer."""
    look, began = Look(number), clock()
    try:
        request = subject.request(cursor)
        look = replace(look, request=request)
        response = await source.fetch(subject.user.id, request, subject.attachment)
        look = replace(look, response=response, seconds=clock() - began)
        page = _with_whole_link(_read(subject, cursor, response, now()), subject, request)
        look = replace(look, page=page)
        return replace(look, following=None if page.cursor is None else subject.request(page.cursor))
    except SourceError as error:
        return replace(look, error=error, seconds=look.seconds or clock() - began)


def _read(subject: Subject, cursor: str | None, response: Response, now: datetime) -> Page:
    return read_page(subject.stream, cursor, response, now, subject.pipeline.source.responses)


def _with_whole_link(page: Page, subject: Subject, request: PageRequest) -> Page:
    """A next link as the miner keeps it: whole, and without the credential."""
    if page.cursor is None or not isinstance(subject.stream.paginator, JsonLink | HeaderLink):
        return page
    link = resolved(request.url, page.cursor)
    return replace(page, cursor=without_secrets(link, secrets_of(subject.pipeline, subject.user.credentials)))

"""A page is had: asked for with what the slice is about, read, and rid of what can't be kept."""

from dataclasses import replace
from datetime import datetime

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay

from miners.budget import note_failure, note_success, permitted
from miners.work import Work
from processors.records import writable
from shared.chains import run_after
from shared.errors import RequestRejected, SourceError, TemporaryFailure
from shared.pipeline.auth import attachment, secrets_of, without_secret_inside, without_secrets
from shared.pipeline.extraction import extracted
from shared.pipeline.pagination import decoded_query, encoded_query
from shared.pipeline.requests import PageRequest, page_request, resolved
from shared.pipeline.responses import Page, Response, read_page, succeeded
from shared.pipeline.slices import Plan
from shared.pipeline.spec import Custom, HeaderLink, JsonLink, NextQuery
from shared.services import Services

QUICK_SECONDS = 5.0
"""A failure that has lasted for longer is not gone in a moment."""

QUICK_PAUSE = 0.3
"""Seconds before the second attempt, about; twice as long before the third."""


async def with_parents(work: Work, services: Services) -> Work:
    """With what the parent's run has passed along to the slice. Raises RequestRejected where that can't be used."""
    before, parent, numbers = work.checkpoint, work.stream.parent, work.checkpoint.current.parents
    if parent is None or not numbers:
        return work
    above = replace(before.key, stream=parent.stream)
    if parent.processing_mode == "single" and (Plan.decode(work.run.plan).parents or 0) > 1:
        raise RequestRejected(f"{parent.stream} has more than one record, which processing_mode: single does not take")
    values = await services.checkpoints.passed(above, run_after(before.run, above), before.key.stream, numbers)
    if len(values) < len(numbers) or any(name not in each for name in parent.input_mapping for each in values):
        raise RequestRejected(f"what {parent.stream} has passed along is gone, or lacks a name of input_mapping")
    return replace(work, parents=tuple(values))


async def fetched(work: Work, services: Services) -> tuple[Page, datetime]:
    """The page at the checkpoint's cursor, and when it was had. What is gone in a moment is tried again at once.

    Raises NotYet, SourceError or Conflict.
    """
    if work.stream.extractor is not None:
        return await _noted(work, services)
    retrying = AsyncRetrying(
        retry=retry_if_exception(_is_short),
        stop=stop_after_attempt(1 + services.settings.quick_retries) | stop_after_delay(QUICK_SECONDS),
        wait=lambda state: QUICK_PAUSE * state.attempt_number * (0.5 + services.random()),
        sleep=services.sleep,
        reraise=True,
    )
    return await retrying(_noted, work, services)


def _is_short(error: BaseException) -> bool:
    """Whether it may be gone in a moment: a connection that was cut, an answer that nobody meant."""
    return isinstance(error, TemporaryFailure) and error.retry_after is None


async def _noted(work: Work, services: Services) -> tuple[Page, datetime]:
    """And what everybody should know of it is noted."""
    try:
        page, now = await _fetched(work, services)
    except SourceError as error:
        await note_failure(work, error, services)
        raise
    await note_success(work, page, services)
    return page, now


async def _fetched(work: Work, services: Services) -> tuple[Page, datetime]:
    request = page_request(work.pipeline, work.stream, work.checkpoint.cursor, work.scopes)
    if work.stream.extractor is not None:
        return await _extracted(work, work.stream.extractor, request, services), services.now()
    async with permitted(work, services):
        response = await services.source.fetch(work.user.id, request, attachment(work.pipeline, work.scopes))
    now = services.now()
    page = read_page(work.stream, work.checkpoint.cursor, response, now, work.pipeline.source.responses)
    return replace(page, cursor=_storable(page.cursor, work, request.url)), now


def _storable(cursor: str | None, work: Work, url: str) -> str | None:
    """The cursor as it is kept: a link is made absolute, and what repeats the credential is taken out."""
    if cursor is None:
        return None
    secrets = [work.access.token, *secrets_of(work.pipeline, work.user.credentials)]
    match work.stream.paginator:
        case JsonLink() | HeaderLink():
            return without_secrets(resolved(url, cursor), secrets)
        case NextQuery():
            query = decoded_query(cursor)
            return encoded_query({name: value for name, value in query.items() if value not in secrets})
        case Custom():
            return without_secret_inside(cursor, secrets)
        case _:
            return cursor


async def _extracted(work: Work, extractor: Custom, first: PageRequest, services: Services) -> Page:
    attached = attachment(work.pipeline, work.scopes)

    async def fetch(request: PageRequest) -> Response:
        async with permitted(work, services):
            response = await services.source.fetch(work.user.id, request, attached)
        return succeeded(work.stream, response, services.now(), work.pipeline.source.responses)

    page = await extracted(extractor, first, work.checkpoint.cursor, fetch)
    secrets = [work.access.token, *secrets_of(work.pipeline, work.user.credentials)]
    return replace(page, cursor=without_secret_inside(page.cursor, secrets))


def without_broken(page: Page, work: Work) -> tuple[Page, int]:
    """The page without records that can't be written, and how many they were, where the file says to skip them."""
    if work.stream.on_error.mode != "skip_record":
        return page, 0
    whole = writable(page.records)
    return replace(page, records=whole), len(page.records) - len(whole)

"""A page by a class of yours, asked and checked. Nothing here is remembered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shared.errors import MalformedResponse
from shared.pipeline.contracts import Fetch, Fill
from shared.pipeline.extensions import extension, guarded, required
from shared.pipeline.pagination import storable
from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Page, Response, as_records
from shared.pipeline.spec import Custom


async def extracted(custom: Custom, first: PageRequest, cursor: str | None, fetch: Fetch) -> Page:
    """The extractor's page. Raises a SourceError.

    Whatever it asks for, the credential goes to the origins of the pipeline file only.
    """

    async def fetch_here(request: PageRequest) -> Response:
        return await fetch(replace(request, origins=first.origins))

    with guarded(custom):
        page: Page = required(custom, await extension("extractors", custom).page(first, cursor, fetch_here), Page)
        following = storable(page.cursor, custom.class_name)
        return replace(page, records=as_records(page.records, custom.class_name), cursor=following)


def transformed_by(custom: Custom, fill: Fill) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What makes of a record what the class says. Raises a SourceError."""

    def transformed(record: dict[str, Any]) -> dict[str, Any]:
        with guarded(custom):
            found: dict[str, Any] = required(custom, extension("transforms", custom).transformed(record, fill), dict)
            if not all(isinstance(name, str) for name in found):
                raise MalformedResponse(f"{custom.class_name}: found a field whose name is no text, allowed: text")
            return found

    return transformed

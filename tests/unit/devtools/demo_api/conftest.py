"""A demo API on a free port, and clients of its users."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from devtools.demo_api.server import HOST, DemoApi, Options, serving
from devtools.demo_api.users import token_of

CURSORS = {"posts": "after", "comments": "cursor"}


@dataclass
class Client:
    """Calls a running demo API as one of its users."""

    api: DemoApi
    base: str
    session: aiohttp.ClientSession

    def token(self, user: str) -> str:
        return token_of(user, self.api.options.seed)

    async def get(self, user: str, path: str, **query: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
        """Status, parsed JSON body and response of one request with the user's bearer token."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        async with self.session.get(self.base + path, params=query, headers=headers) as response:
            return response.status, await response.json(), response

    async def page(self, user: str, stream: str, cursor: str | None = None, limit: int = 100) -> Any:
        """The body of a page that must be there."""
        query = {CURSORS[stream]: cursor} if cursor else {}
        status, body, _ = await self.get(user, f"/v1/me/{stream}", limit=limit, **query)
        assert status == 200, body
        return body

    async def read_all(self, user: str, stream: str, limit: int = 100) -> list[Any]:
        """Every record, as a client without dedupe meets them."""
        records, cursor = [], None
        while True:
            body = await self.page(user, stream, cursor, limit)
            records += body["data"]
            cursor = self.next_cursor(stream, body)
            if cursor is None:
                return records

    def next_cursor(self, stream: str, body: Any) -> str | None:
        """The cursor of the next page, None at the end."""
        if stream == "comments":
            return body["next_cursor"]
        paging = body.get("paging", {})
        return paging["cursors"]["after"] if "next" in paging else None


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Options], Awaitable[Client]]]:
    """Starts a demo API with the given options and returns a client of it; stops it after the test."""
    async with AsyncExitStack() as stack:

        async def start(options: Options) -> Client:
            api = DemoApi(options)
            port = await stack.enter_async_context(serving(api))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Client(api, f"http://{HOST}:{port}", session)

        yield start

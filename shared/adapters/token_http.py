"""Calls to token endpoints, over the same kind of connections and within the same limits as those to the sources.

Each call has a client of its own, so no cookie goes from one user to another, and no redirect is followed.
"""

import asyncio
import ssl
from typing import Protocol

import httpx

from shared.adapters.source_http import Lanes, read_body
from shared.errors import MalformedResponse, RequestRejected, TemporaryFailure
from shared.pipeline.oauth2 import TokenRequest
from shared.pipeline.requests import origin_of
from shared.pipeline.responses import Response


class TokenEndpoint(Protocol):
    """Exchanges credentials for tokens."""

    async def exchange(self, user: str, request: TokenRequest) -> Response:
        """The whole response, whatever its status; `user` is whose tokens they are, and is not sent.

        Raises TemporaryFailure (reset, time-out, a body over a limit: the exchange may have happened) or
        RequestRejected (what is no URL).
        """
        ...

    async def close(self) -> None: ...


class TokenHttp:
    """A TokenEndpoint over httpx."""

    def __init__(self, seconds: float, context: ssl.SSLContext | None = None):
        self._seconds = seconds
        self._lanes = Lanes(context or ssl.create_default_context())

    async def exchange(self, user: str, request: TokenRequest) -> Response:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._posted(request)
        except TimeoutError:
            raise TemporaryFailure(f"the token endpoint gave no whole response within {self._seconds:g} s") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError) as error:
            raise RequestRejected(f"the token request can't be sent: {type(error).__name__}") from None
        except httpx.TransportError as error:
            raise TemporaryFailure(f"the connection to the token endpoint failed: {type(error).__name__}") from None
        except MalformedResponse as error:
            raise TemporaryFailure(f"the token endpoint: {error}") from None

    async def close(self) -> None:
        await self._lanes.close()

    async def _posted(self, request: TokenRequest) -> Response:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"} | dict(request.headers)
        async with httpx.AsyncClient(
            transport=_OverLanes(self._lanes),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(30, connect=10),
        ) as client:
            sent = client.build_request("POST", request.url, headers=headers, data=dict(request.form))
            answer = await client.send(sent, stream=True)
            try:
                return Response(answer.status_code, dict(answer.headers), await read_body(answer))
            finally:
                await answer.aclose()


class _OverLanes(httpx.AsyncBaseTransport):
    def __init__(self, lanes: Lanes):
        self._lanes = lanes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._lanes.handle(origin_of(str(request.url)), request)

"""Calls to token endpoints, over the same kind of connections and within the same limits as those to the sources.

No cookie is kept, so none goes from one user to another, and no redirect is followed.
"""

import asyncio
import ssl
from typing import Protocol

from shared.adapters.http_calls import Unsendable, call, header_texts, merged
from shared.adapters.http_lanes import Broken, Lanes, tls_context
from shared.adapters.source_http import IDLE_LANES, read_body
from shared.errors import MalformedResponse, RequestRejected, TemporaryFailure
from shared.pipeline.access_tokens import TokenRequest
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
    """A TokenEndpoint over aiohttp."""

    def __init__(self, seconds: float, context: ssl.SSLContext | None = None):
        self._seconds = seconds
        self._lanes = Lanes(context or tls_context(), IDLE_LANES)

    async def exchange(self, user: str, request: TokenRequest) -> Response:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._posted(request)
        except TimeoutError:
            raise TemporaryFailure(f"the token endpoint gave no whole response within {self._seconds:g} s") from None
        except Unsendable as error:
            raise RequestRejected(f"the token request can't be sent: {error}") from None
        except Broken as error:
            raise TemporaryFailure(f"the connection to the token endpoint failed: {error}") from None
        except MalformedResponse as error:
            raise TemporaryFailure(f"the token endpoint: {error}") from None

    async def close(self) -> None:
        await self._lanes.close()

    async def _posted(self, request: TokenRequest) -> Response:
        media_type, body = request.content
        sent = call("POST", request.url, merged([("Content-Type", media_type)], request.headers), body)
        async with self._lanes.answered(sent) as answer:
            return Response(answer.status, header_texts(answer), await read_body(answer))

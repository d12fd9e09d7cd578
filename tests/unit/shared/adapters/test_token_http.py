"""Calls to a real token endpoint: what is sent, where it goes, and what a failure becomes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from shared.adapters.token_http import TokenHttp
from shared.errors import HeadframeError, RequestRejected, TemporaryFailure
from shared.pipeline.access_tokens import TokenRequest
from shared.pipeline.responses import Response
from tests.unit.shared.adapters.conftest import CONTEXT, GENEROUS, HttpSource

FORM = (("grant_type", "refresh_token"), ("refresh_token", "canary+/=& é"))
BASIC = (("Authorization", "Basic canary"),)


class Exchanged:
    """A client under test, the server it calls, and the forms that arrived there."""

    def __init__(self, source: HttpSource, seconds: float = GENEROUS):
        self.source = source
        self.http = TokenHttp(seconds, CONTEXT)
        self.forms: list[list[tuple[str, str]]] = []
        source.answers["/token"] = self._answer

    async def _answer(self, request: web.Request) -> web.Response:
        self.forms.append(parse_qsl(await request.text(), keep_blank_values=True))
        response = web.json_response({"access_token": "a"})
        response.set_cookie("session", f"of-{len(self.forms)}")
        return response

    async def post(
        self, path: str = "/token", user: str = "ann", headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        return await self.http.exchange(user, TokenRequest(self.source.base + path, FORM, headers))


@pytest.fixture
async def exchanged(http_source: HttpSource) -> AsyncIterator[Exchanged]:
    exchanged = Exchanged(http_source)
    yield exchanged
    await exchanged.http.close()


async def test_the_form_arrives_as_it_was_meant(exchanged: Exchanged):
    response = await exchanged.post(headers=(("Authorization", "Basic YTpi"),))
    assert (response.status, response.body) == (200, b'{"access_token": "a"}')
    (request,) = exchanged.source.requests
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (request.headers["Authorization"], request.headers["Accept"]) == ("Basic YTpi", "application/json")
    assert exchanged.forms == [list(FORM)]


async def test_no_cookie_goes_from_one_call_to_the_next(exchanged: Exchanged):
    for user in ("ann", "bob", "ann"):
        await exchanged.post(user=user)
    assert [request.headers.get("Cookie") for request in exchanged.source.requests] == [None] * 3


async def test_a_redirect_is_not_followed(exchanged: Exchanged):
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/token"})

    exchanged.source.answers["/moved"] = elsewhere
    assert (await exchanged.post("/moved")).status == 307
    assert [request.path for request in exchanged.source.requests] == ["/moved"]


async def test_a_slow_answer_is_temporary(http_source: HttpSource):
    """The exchange may have happened: whoever asked has to expect that."""
    given_up = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        await given_up.wait()
        return web.Response()

    http_source.answers["/token"] = silent
    slow = TokenHttp(0.05, CONTEXT)
    with pytest.raises(TemporaryFailure, match=r"no whole response within 0\.05 s"):
        await slow.exchange("ann", TokenRequest(http_source.base + "/token", FORM))
    given_up.set()
    await slow.close()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "the connection to the token endpoint failed: ServerDisconnectedError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"], "the connection to the token endpoint failed"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\n{"], "content-encoding: found 'br'"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n{{{"], "body is broken"),
    ],
)
async def test_an_answer_that_is_lost_or_broken_is_temporary(exchanged: Exchanged, raw: list[bytes], said: str):
    exchanged.source.raw["/broken"] = raw
    with pytest.raises(TemporaryFailure) as caught:
        await exchanged.post("/broken")
    assert said in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://a/x", "https://", "https://a:99999/"])
async def test_what_is_no_url_is_rejected_without_the_form(exchanged: Exchanged, url: str):
    with pytest.raises(RequestRejected) as caught:
        await exchanged.http.exchange("ann", TokenRequest(url, FORM))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("raw", [[], [b"SSH-2.0-OpenSSH_9.6\r\n"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]])
async def test_no_log_and_no_error_of_the_http_library_shows_the_form(
    exchanged: Exchanged, caplog: pytest.LogCaptureFixture, raw: list[bytes]
):
    caplog.set_level(logging.DEBUG)
    await exchanged.post(headers=BASIC)
    exchanged.source.raw["/broken"] = raw
    with pytest.raises(HeadframeError) as caught:
        await exchanged.post("/broken", headers=BASIC)
    logging.getLogger("app").error("it failed", exc_info=caught.value)
    assert "TemporaryFailure" in caplog.text
    assert "canary" not in caplog.text

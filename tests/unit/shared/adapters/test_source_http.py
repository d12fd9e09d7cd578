"""Calls to a real HTTP server: where credentials go, and that users do not meet each other."""

import asyncio
import json
import logging

import pytest
from aiohttp import web

from shared.errors import RequestRejected, TemporaryFailure
from shared.pipeline.auth import Attachment
from shared.pipeline.requests import PageRequest, origin_of
from shared.pipeline.responses import Response
from tests.unit.shared.adapters.conftest import BEARER, Called, HttpSource, called_with

KEY = Attachment(query=(("key", "canary&token"),))


async def test_a_response_is_read_whole(called: Called):
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"data": [1]}, status=418, headers={"X-Odd": "yes"})

    called.source.answers["/page"] = answer
    response = await called.get("/page")
    assert (response.status, json.loads(response.body)) == (418, {"data": [1]})
    assert response.headers["x-odd"] == "yes"


@pytest.mark.parametrize("path", ["/p?sig=a%2Bb==&x=%7e+y&z=%20", "/p/%2F/x?a=1&a=2&flag", "/?q='%27|"])
async def test_the_url_arrives_byte_for_byte(called: Called, path: str):
    """A signed link must not be written anew on its way."""
    await called.get(path)
    assert called.last.raw_path.replace("%7C", "|").replace("%27", "'") == path.replace("%27", "'")


async def test_headers_of_the_pipeline_file_are_sent_with_decent_defaults(called: Called):
    await called.get("/", Accept="text/x", **{"X-Shop": "1"})
    assert (called.last.headers["Accept"], called.last.headers["X-Shop"]) == ("text/x", "1")
    assert called.last.headers["Accept-Encoding"] == "gzip"


async def test_the_credential_goes_with_the_request(called: Called):
    await called.get("/a")
    assert called.last.headers["Authorization"] == "Bearer canary-token"
    await called.get("/b?after=1", attachment=KEY)
    assert called.last.raw_path == "/b?after=1&key=canary%26token"
    assert "Authorization" not in called.last.headers


async def test_the_credential_goes_to_allowed_origins_only(called: Called):
    """Even if a caller let a foreign URL through, the transport does not."""
    elsewhere = PageRequest(called.source.base + "/a", {}, frozenset({"https://api.example.com:443"}))
    with pytest.raises(RequestRejected, match=r"allowed: https://api\.example\.com:443"):
        await called.http.fetch("ann", elsewhere, BEARER)
    assert called.source.requests == []


LONG_NAME = "http://" + "a" * 64 + ".example"


@pytest.mark.parametrize("url", ["http://[", "http://a:99999/", "ftp://a/", "//a/", "", LONG_NAME])
async def test_what_is_no_url_is_rejected_without_the_credential(called: Called, url: str):
    """A name over 63 letters is found out only when it is looked up."""
    for attachment in (BEARER, KEY):
        with pytest.raises(RequestRejected) as refused:
            await called.http.fetch("ann", PageRequest(url, {}, frozenset({f"{LONG_NAME}:80"})), attachment)
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize("raw", [[], [b"SSH-2.0-OpenSSH_9.6\r\n"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]])
async def test_no_log_and_no_error_of_the_http_library_shows_a_credential(
    called: Called, caplog: pytest.LogCaptureFixture, raw: list[bytes]
):
    """aiohttp's own errors hold the URL and the headers of the request, and say some of it."""
    caplog.set_level(logging.DEBUG)
    called.source.raw["/b"] = raw
    for attachment in (BEARER, KEY):
        await called.get("/a", attachment=attachment)
        with pytest.raises(TemporaryFailure) as failed:
            await called.get("/b", attachment=attachment)
        logging.getLogger("app").error("it failed", exc_info=failed.value)
    assert caplog.text.count("TemporaryFailure") >= 2
    assert "canary" not in caplog.text


async def test_a_post_arrives_with_its_body_and_the_credential(called: Called):
    kind = {"Content-Type": "application/json"}
    for body in (b'{"after":"a=="}', b"", b"x" * 200_000):
        response = await called.ask("/search?limit=2", method="POST", content=body, headers=kind)
        assert response.status == 200
        assert (called.last.method, called.last.raw_path) == ("POST", "/search?limit=2")
        assert called.source.bodies[-1] == body
        assert called.last.headers["Content-Type"] == "application/json"
        assert called.last.headers["Authorization"] == "Bearer canary-token"
        assert called.last.headers["Content-Length"] == str(len(body))


async def test_a_credential_may_go_in_the_body(called: Called):
    url, origins = called.source.base + "/search", frozenset({origin_of(called.source.base)})
    attachment = Attachment(body=(("auth.key", "canary"),))
    await called.http.fetch("ann", PageRequest(url, {}, origins, "POST", b'{"x":1}'), attachment)
    assert json.loads(called.source.bodies[-1]) == {"x": 1, "auth": {"key": "canary"}}
    assert called.last.headers["Content-Type"] == "application/json"


async def test_a_body_goes_to_allowed_origins_only(called: Called):
    with pytest.raises(RequestRejected):
        await called.ask("/a", method="POST", content=b"{}", origins=frozenset({"https://api.example.com:443"}))
    assert called.source.requests == []


async def test_a_client_has_no_credential_of_its_own(called: Called):
    """What is no default can't be sent along by a redirect, a retry or a mistake."""
    await called.get("/a")
    await called.get("/b", attachment=Attachment())
    assert "Authorization" not in called.last.headers
    assert called.last.raw_path == "/b"


async def test_redirects_are_not_followed(called: Called):
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": called.source.base + "/elsewhere"})

    called.source.answers["/moved"] = answer
    assert (await called.get("/moved")).status == 302
    assert [request.path for request in called.source.requests] == ["/moved"]


@pytest.mark.parametrize("token", ["canary\n", "canary\r\nX-Evil: 1", "canary\x00"])
async def test_a_credential_that_no_header_can_hold_is_rejected_and_not_shown(called: Called, token: str):
    """A line end copied along with a token: trying again would not help."""
    with pytest.raises(RequestRejected) as refused:
        await called.get("/", attachment=Attachment(headers=(("Authorization", f"Bearer {token}"),)))
    assert "canary" not in str(refused.value)
    assert called.source.requests == []


async def test_other_alphabets_in_a_credential_arrive(called: Called):
    await called.get("/", attachment=Attachment(headers=(("X-Key", "schlüssel"),)))
    assert dict(called.last.raw_headers)[b"X-Key"].decode() == "schlüssel"


async def test_each_user_has_cookies_of_their_own(called: Called):
    async def answer(request: web.Request) -> web.Response:
        response = web.json_response({"data": []})
        response.set_cookie("session", request.query["user"])
        return response

    called.source.answers["/"] = answer
    for user in ("ann", "bob", "ann", "bob"):
        await called.get(f"/?user={user}", user=user)
    assert [request.cookies.get("session") for request in called.source.requests] == [None, None, "ann", "bob"]


async def test_idle_clients_are_closed(http_source: HttpSource):
    called = called_with(http_source, idle=100)
    await called.get(user="ann")
    called.clock.now += 60
    await called.get(user="bob")
    called.clock.now += 60
    await called.get(user="cid")
    assert called.http.clients == 2
    await called.http.close()
    assert called.http.clients == 0


async def test_the_least_recently_used_client_goes_when_there_are_too_many(http_source: HttpSource):
    """A closed client's cookies are gone, which shows who it was."""

    async def answer(request: web.Request) -> web.Response:
        response = web.json_response({"data": []})
        response.set_cookie("session", "kept")
        return response

    http_source.answers["/"] = answer
    called = called_with(http_source, limit=2)
    for user in ("ann", "bob", "ann", "cid", "ann", "bob"):
        await called.get(user=user)
    cookies = [request.cookies.get("session") for request in http_source.requests]
    assert cookies == [None, None, "kept", None, "kept", None]
    assert called.http.clients == 2
    await called.http.close()


async def test_a_client_that_is_fetching_is_never_closed(http_source: HttpSource):
    """More users at once than clients are kept: all get their page."""
    arrived, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        arrived.release()
        await go_on.wait()
        return web.json_response({"data": [request.query["user"]]})

    http_source.answers["/"] = answer
    called = called_with(http_source, limit=2)
    fetches = [asyncio.create_task(called.get(f"/?user={number}", user=f"u{number}")) for number in range(12)]
    async with asyncio.timeout(30):
        for _ in fetches:
            await arrived.acquire()
    go_on.set()
    bodies = [json.loads(response.body) for response in await asyncio.gather(*fetches)]
    assert bodies == [{"data": [str(number)]} for number in range(12)]
    await called.get(user="last")
    assert called.http.clients == 2
    await called.http.close()


async def test_one_users_broken_connection_disturbs_nobody(called: Called):
    called.source.raw["/broken"] = []
    results = await asyncio.gather(
        *(called.get("/broken" if number == 3 else "/fine", user=f"u{number}") for number in range(8)),
        return_exceptions=True,
    )
    assert isinstance(results[3], TemporaryFailure)
    assert all(isinstance(each, Response) for place, each in enumerate(results) if place != 3)


async def test_cookies_that_the_file_names_are_sent_in_place_of_those_that_came(called: Called):
    async def answer(request: web.Request) -> web.Response:
        response = web.json_response({"data": []})
        response.set_cookie("session", "came")
        return response

    called.source.answers["/"] = answer
    await called.get()
    await called.get(cookie="session=named")
    assert called.last.headers.getall("Cookie") == ["session=named"]
    await called.get()
    assert called.last.headers.getall("Cookie") == ["session=came"]

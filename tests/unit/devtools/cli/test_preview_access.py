"""The access token of a preview: given, asked for where that uses nothing up, refused otherwise."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from devtools.cli.preview_access import with_access
from devtools.cli.preview_steps import Subject
from shared.errors import BadInput
from shared.pipeline.loader import load_text
from shared.users import User

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PIPELINE = """
pipeline: shop
source:
  base_url: https://api.example.com
  auth: {{ type: {auth} }}
streams: [{{ name: orders, paginator: {{ type: single_page }} }}]
"""
CLIENT = 'oauth2_client_credentials, token_url: "{url}", client_id: c, client_secret: "{{credentials.secret}}"'
REFRESH = 'oauth2_refresh_token, token_url: "https://a.example/t", client_id: c, refresh_token: "{credentials.refresh}"'


def subject(auth: str, **credentials: str) -> Subject:
    pipeline = load_text(PIPELINE.format(auth=auth), "shop.yaml")
    return Subject(pipeline, pipeline.streams[0], User("ann", credentials), NOW)


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    """A token endpoint that knows one client."""

    async def answer(request: web.Request) -> web.Response:
        form: Any = await request.post()
        known = form["client_secret"] == "right"
        return web.json_response(
            {"access_token": "t0ken"} if known else {"error": "invalid_client"}, status=200 if known else 401
        )

    app = web.Application()
    app.router.add_post("/token", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    await runner.cleanup()


async def test_a_source_without_oauth_needs_none():
    assert (await with_access(subject('bearer, token: "{credentials.token}"', token="t"))).access == ""


async def test_a_client_asks_for_its_token(endpoint: str):
    assert (await with_access(subject(CLIENT.format(url=endpoint), secret="right"))).access == "t0ken"


async def test_a_client_that_is_not_known_is_told_so_without_its_secret(endpoint: str):
    with pytest.raises(BadInput, match=r"^source\.auth: no access token: ") as refused:
        await with_access(subject(CLIENT.format(url=endpoint), secret="canary-wrong"))
    assert "canary" not in str(refused.value)


async def test_a_refresh_token_is_never_used_up():
    """It may be good only once, and the miner needs it."""
    with pytest.raises(BadInput, match="which a preview would use up"):
        await with_access(subject(REFRESH, refresh="r"))
    assert (await with_access(subject(REFRESH, refresh="r", access_token="given"))).access == "given"

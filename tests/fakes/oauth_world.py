"""A world whose source wants tokens that have to be asked for."""

from collections.abc import Callable

import pytest

from shared.adapters.token_table import StoredTokens
from shared.pipeline.responses import Response
from shared.users import User
from tests.fakes.scripted_source import Call, answer
from tests.fakes.world import World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
ALL = [0, 1, 2, 3, 4]
REFRESH = (
    '{ type: oauth2_refresh_token, token_url: "https://login.example.com/token", client_id: app, '
    'refresh_token: "{credentials.refresh}" }'
)
CLIENT = (
    '{ type: oauth2_client_credentials, token_url: "https://login.example.com/token", '
    'client_id: "{credentials.id}", client_secret: "{credentials.secret}" }'
)
LOGIN = (
    '{ type: login, login_url: "https://login.example.com/login", json: { name: "{user.id}", '
    'password: "{credentials.secret}" }, token_path: access_token }'
)
PIPELINE = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: AUTH
streams:
  - name: posts
    path: /me/posts
    records: data
    primary_key: id
    paginator: { type: json_link, next_url_path: next }
"""


def guarded(world: World, then: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """An API that lets in whom its token server accepts."""

    def respond(call: Call) -> Response:
        token = call.credential.removeprefix("Bearer ")
        return then(call) if world.token_server.accepts(call.user, token) else answer({}, 401)

    return respond


def links(call: Call) -> Response:
    """Two records a page, and a link that repeats the token."""
    start = int(call.query("after", "0"))
    token = call.credential.removeprefix("Bearer ")
    following = f"/v1/me/posts?after={start + 2}&access_token={token}" if start + 2 < len(RECORDS) else None
    return answer({"data": RECORDS[start : start + 2], "next": following})


def world_of(auth: str = REFRESH, then: Callable[[Call], Response] = links) -> World:
    world = World(lambda call: pytest.fail("replaced below"), PIPELINE.replace("AUTH", auth))
    world.source.respond = guarded(world, then)
    return world


async def with_users(world: World, *names: str) -> World:
    for name in names or ("ann",):
        world.token_server.refresh_tokens[f"seed-of-{name}"] = name
        world.token_server.clients["app", f"secret-of-{name}"] = name
        credentials = {"refresh": f"seed-of-{name}", "id": "app", "secret": f"secret-of-{name}"}
        await world.services.users.put(User(name, credentials))
    await world.schedule()
    return world


async def again(world: World, **span: float) -> None:
    """Another run, some time later, played to its end."""
    world.later(**span)
    await world.services.schedules.request("social", "posts", world.clock.now())
    await world.schedule()
    await world.run()


async def stored(world: World) -> StoredTokens:
    return await world.services.tokens.read("ann", "social")

"""A Source that answers from a script: what an API would say to a request."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from shared.pipeline.auth import Attachment
from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Response


@dataclass(frozen=True)
class Call:
    """One request as the source saw it."""

    user: str
    url: str
    credential: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def query(self, name: str, default: str = "") -> str:
        return parse_qs(urlsplit(self.url).query).get(name, [default])[0]


def answer(body: object, status: int = 200, **headers: str) -> Response:
    """A JSON response; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": "application/json", **named}, json.dumps(body).encode())


def pages_of(records: list[dict[str, object]], size: int = 2) -> Callable[[Call], Response]:
    """A well-behaved API: `after` is the index to go on from, `next` in the body names the following."""

    def respond(call: Call) -> Response:
        start = int(call.query("after", "0"))
        following = start + size
        return answer({"data": records[start:following], "next": str(following) if following < len(records) else None})

    return respond


@dataclass
class ScriptedSource:
    """`respond` may raise what a Source raises; `meanwhile` happens once while the next request is under way;
    `calls` is the access log."""

    respond: Callable[[Call], Response]
    meanwhile: Callable[[], Awaitable[object]] | None = None
    calls: list[Call] = field(default_factory=list)

    async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
        credential = dict(attachment.headers).get("Authorization", "")
        call = Call(user, request.url, credential, request.content, request.headers)
        self.calls.append(call)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return self.respond(call)

    async def close(self) -> None:
        """Nothing is open."""

"""An OAuth2 server: it rotates refresh tokens, ends access tokens, revokes, and knows what it has granted.

The doubles of the token endpoint, a real HTTP server and the simulation stand before the same one.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from shared.pipeline.access_tokens import TokenRequest
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import answer


@dataclass
class Granted:
    """An access token, the refresh token that came with it, and when it was granted and ends, in seconds."""

    user: str
    refresh_token: str
    at: float
    until: float


@dataclass
class TokenServer:
    """Access tokens last for `life` seconds. If it is `rotating`, each exchange gives another refresh token; the one
    before is worth nothing any more, with `grace` as soon as the new one or its access token is used. The first use of
    an access token ends the older ones that came with refresh tokens.

    `refresh_tokens` are those that are good now, `clients` pairs of id and secret, each with its user.
    """

    now: Callable[[], float]
    life: float = 3600
    rotating: bool = True
    grace: bool = True
    minted: Callable[[str, str], str] = lambda user, name: f"{name}-of-{user}"
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    clients: dict[tuple[str, str], str] = field(default_factory=dict)
    granted: dict[str, Granted] = field(default_factory=dict)
    exchanges: list[tuple[float, str]] = field(default_factory=list)
    every: list[str] = field(default_factory=list)
    """Token that was ever granted."""
    _names: "itertools.count[int]" = field(default_factory=itertools.count)
    _parents: dict[str, str] = field(default_factory=dict)

    def exchange(self, form: Mapping[str, str]) -> Response:
        """What the token endpoint answers."""
        if "password" in form:
            user = self.clients.get(("app", form["password"]))
            return self._granted(user, "") if user else answer({"message": "wrong password"}, 400)
        if form["grant_type"] == "client_credentials":
            user = self.clients.get((form["client_id"], form["client_secret"]))
            return self._granted(user, "") if user else answer({"error": "invalid_client"}, 401)
        token = form["refresh_token"]
        user = self.refresh_tokens.get(token)
        if user is None:
            return answer({"error": "invalid_grant"}, 400)
        self._confirm(token)
        if not self.rotating:
            return self._granted(user, token)
        following = self._mint(user, "refresh")
        self.refresh_tokens[following], self._parents[following] = user, token
        if not self.grace:
            del self.refresh_tokens[token]
        return self._granted(user, following)

    def accepts(self, user: str, token: str) -> bool:
        """Whether the API lets this user in; to be asked once for each call."""
        found = self.granted.get(token)
        if found is None or found.user != user or self.now() >= found.until:
            return False
        self._confirm(found.refresh_token)
        for other, each in list(self.granted.items()):
            if each.user == user and each.at < found.at and each.refresh_token:
                del self.granted[other]
        return True

    def end_access(self, user: str) -> None:
        """Before its time, as APIs do when somebody changes a password."""
        self.granted = {token: each for token, each in self.granted.items() if each.user != user}

    def revoke(self, user: str) -> None:
        """The user has taken the permission away."""
        self.end_access(user)
        self.refresh_tokens = {token: whose for token, whose in self.refresh_tokens.items() if whose != user}
        self.clients = {client: whose for client, whose in self.clients.items() if whose != user}

    def _granted(self, user: str, refresh_token: str) -> Response:
        self.exchanges.append((self.now(), user))
        token = self._mint(user, "access")
        self.granted[token] = Granted(user, refresh_token, self.now(), self.now() + self.life)
        more = {"refresh_token": refresh_token} if refresh_token else {}
        return answer({"access_token": token, "token_type": "bearer", "expires_in": self.life, **more})

    def _confirm(self, token: str) -> None:
        """The client has it: those before it, and others that were granted for the same, are not needed any more."""
        parent = self._parents.pop(token, None)
        if parent is None:
            return
        self.refresh_tokens.pop(parent, None)
        for other in [each for each, whose in self._parents.items() if whose == parent]:
            self.refresh_tokens.pop(other, None)

    def _mint(self, user: str, name: str) -> str:
        token = self.minted(user, f"{name}-{next(self._names)}")
        self.every.append(token)
        return token


@dataclass
class ScriptedTokens:
    """A TokenEndpoint before a server; `calls` are the forms that it was sent. `instead` may answer or raise what a
    TokenEndpoint raises, before the server hears of it; `meanwhile` happens once, before the answer arrives, and may
    raise as where it is lost."""

    server: TokenServer
    instead: Callable[[str], Response | None] = lambda user: None
    meanwhile: Callable[[], Awaitable[object]] | None = None
    calls: list[dict[str, str]] = field(default_factory=list)

    async def exchange(self, user: str, request: TokenRequest) -> Response:
        sent = dict(request.form) or dict(request.json_body or {})
        self.calls.append(sent)
        response = self.instead(user) or self.server.exchange(sent)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return response

    async def close(self) -> None:
        """Nothing is open."""

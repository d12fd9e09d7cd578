"""OAuth2 access tokens: what to ask a token endpoint, what its answer means, when to ask again. Pure."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from shared.errors import (
    InvalidCredential,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.json_path import found_at
from shared.pipeline.responses import CREDENTIAL_CODES, Response
from shared.pipeline.spec import OAuth2ClientCredentials, OAuth2RefreshToken
from shared.pipeline.templates import Scopes, render
from shared.pipeline.waits import retry_after

OAuth2Grant = OAuth2ClientCredentials | OAuth2RefreshToken

LONGEST_TOKEN = 10_000
"""Characters; two of them, encrypted, must fit into one property of a table."""

LONGEST_LIFE = timedelta(days=366).total_seconds()

TOKEN = re.compile(r"[\x21-\x7e]+(?: +[\x21-\x7e]+)*")
"""Printable ASCII, as RFC 6749 wants it: an access token must fit into a header."""

DEAD = frozenset(
    {"invalid_grant", "invalid_client", "access_denied"}
    | {"invalid_token", "expired_token", "token_expired", "token_revoked", "bad_refresh_token", "invalid_refresh_token"}
    | set(map(str, CREDENTIAL_CODES))
)
"""Codes that only a new credential of the user can mend: those of RFC 6749, and what some servers say instead."""

WRONG = frozenset({"invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"})
"""Codes that say that the pipeline file is wrong."""

PASSING = frozenset({"temporarily_unavailable", "server_error"})


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One POST of a form. Secrets are never shown."""

    url: str
    form: tuple[tuple[str, str], ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> list[str]:
        """What of it must not be logged and is no credential of the user as it stands, in the form that it is sent."""
        hidden = [value for name, value in self.form if name in {"refresh_token", "client_secret"}]
        return hidden + [value.removeprefix("Basic ") for _, value in self.headers]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an endpoint granted: an access token for `expires_in` seconds, and the refresh token to ask with next."""

    access_token: str = field(repr=False)
    expires_in: float
    refresh_token: str | None = field(default=None, repr=False)


def token_request(auth: OAuth2Grant, scopes: Scopes, refresh_token: str | None) -> TokenRequest:
    """The request for a new access token; `refresh_token` is the latest one, None: that of the user.

    Raises RequestRejected naming a credential that the user does not have.
    """
    form = {"grant_type": "client_credentials"}
    if isinstance(auth, OAuth2RefreshToken):
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token or render(auth.refresh_token, scopes)}
    if auth.scopes:
        form["scope"] = " ".join(render(scope, scopes) for scope in auth.scopes)
    client = render(auth.client_id, scopes)
    secret = None if auth.client_secret is None else render(auth.client_secret, scopes)
    headers: tuple[tuple[str, str], ...] = ()
    if auth.client_auth == "basic":
        headers = (("Authorization", f"Basic {_basic(client, secret or '')}"),)
    else:
        form |= {"client_id": client} | ({} if secret is None else {"client_secret": secret})
    form |= {name: render(value, scopes) for name, value in auth.access_token_request_data.items()}
    return TokenRequest(render(auth.token_url, scopes), tuple(form.items()), headers)


def seed_of(auth: OAuth2Grant, scopes: Scopes) -> str:
    """A fingerprint of what a person put in: tokens that grew out of another seed are not for this one.

    A refresh token belongs to a client, whose secret may change meanwhile; an access token for client credentials
    depends on all that was asked.
    """
    if isinstance(auth, OAuth2RefreshToken):
        grown_from = (
            render(auth.token_url, scopes),
            render(auth.client_id, scopes),
            render(auth.refresh_token, scopes),
        )
        return hashlib.sha256(json.dumps(grown_from).encode()).hexdigest()
    request = token_request(auth, scopes, None)
    return hashlib.sha256(json.dumps([request.url, request.form, request.headers]).encode()).hexdigest()


def renew_at(obtained_at: datetime, expires_in: float, margin: float) -> datetime:
    """When to ask for the next token: `margin` seconds before the end, but at most a tenth of its life."""
    return obtained_at + timedelta(seconds=expires_in - min(margin, expires_in / 10))


def read_tokens(auth: OAuth2Grant, response: Response, now: datetime) -> Tokens:
    """Raises a SourceError that says what to do next; no text of an answer is repeated."""
    body = _parsed(response)
    if failure := _failure(response, body, now):
        raise failure
    access_token = _token(auth.access_token_path, body)
    if access_token is None:
        raise MalformedResponse(f"the token endpoint answered without {auth.access_token_path}")
    refreshed = _token(auth.refresh_token_path, body) if isinstance(auth, OAuth2RefreshToken) else None
    life = _seconds(found_at(auth.expires_in_path, body)) or auth.default_token_expiration
    return Tokens(access_token, min(life, LONGEST_LIFE), refreshed)


def _basic(client: str, secret: str) -> str:
    """RFC 6749 section 2.3.1: both are form-encoded first."""
    return base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()


def _parsed(response: Response) -> dict[str, Any] | None:
    """None for what is no JSON object."""
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _failure(response: Response, body: dict[str, Any] | None, now: datetime) -> SourceError | None:
    """The status where it speaks of time or load, then the code of the body, then what the status is left to say."""
    status, code = response.status, _code(body)
    said = f"status {status}" + (f", {code}" if code in DEAD | WRONG | PASSING else "")
    if status == 429 or code == "slow_down":
        return RateLimited(f"the token endpoint throttles: {said}", retry_after(response.headers, now))
    if status >= 500 or status in {408, 425} or code in PASSING:
        return TemporaryFailure(f"the token endpoint failed: {said}", retry_after(response.headers, now))
    if 300 <= status < 400:
        return RequestRejected(f"the token endpoint leads elsewhere: {said}; redirects are not followed")
    if code in WRONG:
        return RequestRejected(f"the token endpoint refused the request: {said}")
    if code in DEAD or status == 401 or (status == 403 and body is not None):
        return InvalidCredential(f"the token endpoint refused the credential: {said}")
    if body is None:
        return TemporaryFailure(f"the token endpoint answered what is no JSON object: {said}")
    if 200 <= status < 300:
        return MalformedResponse(f"the token endpoint answered an error that is not known: {said}") if code else None
    return RequestRejected(f"the token endpoint refused the request: {said}")


def _code(body: dict[str, Any] | None) -> str:
    found = (body or {}).get("error")
    if isinstance(found, dict):
        found = found.get("code") or found.get("type") or "error"
    return str(found) if found else ""


def _token(path: str, body: dict[str, Any] | None) -> str | None:
    """None where there is none. Raises MalformedResponse for what can't be one."""
    found = found_at(path, body)
    if found is None or found == "":
        return None
    if not isinstance(found, str) or len(found) > LONGEST_TOKEN or not TOKEN.fullmatch(found):
        raise MalformedResponse(
            f"the token endpoint answered with something else than a token at {path}, allowed: printable ASCII, "
            f"at most {LONGEST_TOKEN:,} characters"
        )
    return found


def _seconds(found: Any) -> float | None:
    """Also out of a text; None for what is no span of time."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        seconds = float(found)
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None

"""Access tokens of OAuth2 and of logins: what to ask for one, what the answer means, when to ask again. Pure."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

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
from shared.pipeline.spec import Login, OAuth2ClientCredentials, OAuth2RefreshToken
from shared.pipeline.templates import Scopes, render, render_json
from shared.pipeline.waits import retry_after

TokenAuth = OAuth2ClientCredentials | OAuth2RefreshToken | Login

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

REFUSING = frozenset({400, 403, 422})
"""What logins say, besides 401, of a wrong password; with a page of HTML it is somebody in between who says so."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One POST of a form, or of `json_body` where there is one. Secrets are never shown."""

    url: str
    form: tuple[tuple[str, str], ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json_body: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def content(self) -> tuple[str, bytes]:
        """The media type and the body."""
        if self.json_body is not None:
            return "application/json", json.dumps(self.json_body).encode()
        return "application/x-www-form-urlencoded", urlencode(self.form).encode()

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


def token_request(auth: TokenAuth, scopes: Scopes, refresh_token: str | None) -> TokenRequest:
    """The request for a new access token; `refresh_token` is the latest one, None: that of the user.

    Raises RequestRejected naming a credential that the user does not have.
    """
    if isinstance(auth, Login):
        return _login_request(auth, scopes)
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


def _login_request(auth: Login, scopes: Scopes) -> TokenRequest:
    form = tuple((name, render(value, scopes)) for name, value in (auth.form or {}).items())
    headers = tuple((name, render(value, scopes)) for name, value in auth.headers.items())
    body = None if auth.json_body is None else render_json(auth.json_body, scopes)
    return TokenRequest(render(auth.login_url, scopes), form, headers, body)


def seed_of(auth: TokenAuth, scopes: Scopes) -> str:
    """A fingerprint of what a person put in: tokens that grew out of another seed are not for this one.

    A refresh token belongs to a client, whose secret may change meanwhile; any other access token depends on all
    that was asked.
    """
    if isinstance(auth, OAuth2RefreshToken):
        grown_from = (
            render(auth.token_url, scopes),
            render(auth.client_id, scopes),
            render(auth.refresh_token, scopes),
        )
        return hashlib.sha256(json.dumps(grown_from).encode()).hexdigest()
    request = token_request(auth, scopes, None)
    asked: list[Any] = [request.url, request.form, request.headers]
    if request.json_body is not None:
        asked.append(request.json_body)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def renew_at(obtained_at: datetime, expires_in: float, margin: float) -> datetime:
    """When to ask for the next token: `margin` seconds before the end, but at most a tenth of its life."""
    return obtained_at + timedelta(seconds=expires_in - min(margin, expires_in / 10))


def read_tokens(auth: TokenAuth, response: Response, now: datetime) -> Tokens:
    """Raises a SourceError that says what to do next; no text of an answer is repeated."""
    body = _parsed(response)
    if isinstance(auth, Login):
        return _logged_in(auth, response, body, now)
    if failure := _failure(auth, response, body, now):
        raise failure
    access_token = _token(auth.access_token_path, found_at(auth.access_token_path, body))
    if access_token is None:
        raise MalformedResponse(f"the token endpoint answered without {auth.access_token_path}")
    refreshed = None
    if isinstance(auth, OAuth2RefreshToken):
        refreshed = _token(auth.refresh_token_path, found_at(auth.refresh_token_path, body))
    return Tokens(access_token, _life(auth, body), refreshed)


def _logged_in(auth: Login, response: Response, body: dict[str, Any] | None, now: datetime) -> Tokens:
    """The token wherever the file says; a login that answers with a cookie may lead elsewhere, or say nothing."""
    if 200 <= response.status < (400 if auth.token_cookie is not None else 300):
        if auth.token_path is not None:
            where, found = auth.token_path, found_at(auth.token_path, body)
        elif auth.token_header is not None:
            where, found = f"the header {auth.token_header}", response.headers.get(auth.token_header.lower())
        else:
            where = f"the cookie {auth.token_cookie}"
            found = _cookie(auth.token_cookie or "", response.headers.get("set-cookie", ""))
        if (token := _token(where, found)) is not None:
            return Tokens(token, _life(auth, body))
    missing = MalformedResponse("the login answered without a token where the file says that one stands")
    raise _failure(auth, response, body, now) or missing


def _cookie(name: str, headers: str) -> str | None:
    """Out of the `Set-Cookie` headers, with commas between them."""
    found = re.search(rf'(?:^|,\s*){re.escape(name)}="?([^;,"\s]*)', headers)
    return found[1] if found else None


def _life(auth: TokenAuth, body: dict[str, Any] | None) -> float:
    """Seconds, as the answer says or else the file."""
    found = None if auth.expires_in_path is None else _seconds(found_at(auth.expires_in_path, body))
    return min(found or auth.default_token_expiration, LONGEST_LIFE)


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


def _failure(auth: TokenAuth, response: Response, body: dict[str, Any] | None, now: datetime) -> SourceError | None:
    """The status where it speaks of time or load, then the code of the body, then what the status is left to say."""
    status, code = response.status, _code(body)
    who, is_refusal = "the token endpoint", status == 403 and body is not None
    if isinstance(auth, Login):
        who, is_refusal = "the login", status in REFUSING and not response.body.lstrip().startswith(b"<")
    said = f"status {status}" + (f", {code}" if code in DEAD | WRONG | PASSING else "")
    if status == 429 or code == "slow_down":
        return RateLimited(f"{who} throttles: {said}", retry_after(response.headers, now))
    if status >= 500 or status in {408, 425} or code in PASSING:
        return TemporaryFailure(f"{who} failed: {said}", retry_after(response.headers, now))
    if 300 <= status < 400:
        return RequestRejected(f"{who} leads elsewhere: {said}; redirects are not followed")
    if code in WRONG:
        return RequestRejected(f"{who} refused the request: {said}")
    if code in DEAD or status == 401 or is_refusal:
        return InvalidCredential(f"{who} refused the credential: {said}")
    if body is None:
        return TemporaryFailure(f"{who} answered what is no JSON object: {said}")
    if 200 <= status < 300:
        return MalformedResponse(f"{who} answered an error that is not known: {said}") if code else None
    return RequestRejected(f"{who} refused the request: {said}")


def _code(body: dict[str, Any] | None) -> str:
    found = (body or {}).get("error")
    if isinstance(found, dict):
        found = found.get("code") or found.get("type") or "error"
    return str(found) if found else ""


def _token(where: str, found: Any) -> str | None:
    """None where there is none. Raises MalformedResponse for what can't be one."""
    if found is None or found == "":
        return None
    if not isinstance(found, str) or len(found) > LONGEST_TOKEN or not TOKEN.fullmatch(found):
        raise MalformedResponse(
            f"found something else than a token at {where} of the answer, allowed: printable ASCII, at most "
            f"{LONGEST_TOKEN:,} characters"
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

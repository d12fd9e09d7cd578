"""How one user's credential is attached to a request. Pure; the transport applies it after its origin check."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.errors import MalformedResponse, RequestRejected
from shared.log import SHORTEST
from shared.pipeline.extensions import extension, guarded, required
from shared.pipeline.spec import (
    PLACEHOLDER,
    AccessToken,
    ApiKey,
    Bearer,
    Custom,
    HeadersAuth,
    HttpBasic,
    Login,
    NoAuth,
    OAuth2ClientCredentials,
    OAuth2RefreshToken,
    Pipeline,
)
from shared.pipeline.templates import Scopes, render

NAMES = frozenset({"user", "username", "user_name", "login", "name", "mail", "email", "identity", "identifier"})
"""What logins call the part of a credential that is no secret."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Headers, query parameters and fields of the body that carry the credential; never shown."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def attachment(pipeline: Pipeline, scopes: Scopes) -> Attachment:
    """Raises RequestRejected naming a credential that the user does not have.

    The scope `access` has the `token` of a source for which one is asked.
    """
    match pipeline.source.auth:
        case Bearer(token=token):
            return Attachment(headers=(("Authorization", f"Bearer {render(token, scopes)}"),))
        case ApiKey(name=name, key=key, location="header"):
            return Attachment(headers=((name, render(key, scopes)),))
        case ApiKey(name=name, key=key, location="body"):
            return Attachment(body=((name, render(key, scopes)),))
        case ApiKey(name=name, key=key):
            return Attachment(query=((name, render(key, scopes)),))
        case HttpBasic(username=username, password=password):
            pair = f"{render(username, scopes)}:{render(password, scopes)}".encode()
            return Attachment(headers=(("Authorization", f"Basic {base64.b64encode(pair).decode()}"),))
        case HeadersAuth(headers=headers):
            return Attachment(headers=tuple((name, render(value, scopes)) for name, value in headers.items()))
        case OAuth2ClientCredentials() | OAuth2RefreshToken() | Login() as auth:
            return _with_token(auth, str(scopes["access"]["token"]))
        case NoAuth():
            return Attachment()
        case Custom() as custom:
            return _customised(custom, scopes)


def _with_token(auth: AccessToken, token: str) -> Attachment:
    sent = f"{'Bearer ' if auth.prefix is None and auth.name is None else auth.prefix or ''}{token}"
    match auth.location:
        case "query":
            return Attachment(query=((auth.name or "", sent),))
        case "body":
            return Attachment(body=((auth.name or "", sent),))
        case "cookie":
            return Attachment(headers=(("Cookie", f"{auth.name}={sent}"),))
        case _:
            return Attachment(headers=((auth.name or "Authorization", sent),))


def _customised(custom: Custom, scopes: Scopes) -> Attachment:
    def fill(template: str) -> str:
        return render(template, scopes)

    with guarded(custom):
        auth = extension("auths", custom)
        headers, query = (required(custom, each(fill), dict) for each in (auth.headers, auth.query))
        for value in (*headers.values(), *query.values()):
            required(custom, value, str)
    return Attachment(tuple(headers.items()), tuple(query.items()))


def secrets_of(pipeline: Pipeline, credentials: Mapping[str, str]) -> list[str]:
    """The values among a user's credentials that are secret to this source: a user name is none."""
    match pipeline.source.auth:
        case Bearer(token=template) | ApiKey(key=template) | HttpBasic(password=template):
            templates = [template]
        case HeadersAuth(headers=headers):
            templates = list(headers.values())
        case OAuth2ClientCredentials(client_secret=secret, access_token_request_data=data):
            templates = [secret, *data.values()]
        case OAuth2RefreshToken(client_secret=secret, refresh_token=refresh, access_token_request_data=data):
            templates = [secret or "", refresh, *data.values()]
        case Login(headers=headers, form=form, json_body=body):
            templates = [*headers.values(), *_secret_texts(form or {}), *_secret_texts(body or {})]
        case NoAuth():
            templates = []
        case Custom(options=options):
            templates = [str(options)]
    found = PLACEHOLDER.findall(" ".join(templates))
    names = {name for scope, name in found if scope == "credentials"}
    return [value for name, value in credentials.items() if name in names]


def _secret_texts(body: Any, name: str = "") -> list[str]:
    """The texts of what is sent to a login, at any depth, without those that only say who it is."""
    match body:
        case dict():
            return [text for key, each in body.items() for text in _secret_texts(each, key)]
        case list():
            return [text for each in body for text in _secret_texts(each, name)]
        case str() if name.lower() not in NAMES:
            return [body]
        case _:
            return []


def without_secret_inside(cursor: str | None, secrets: Iterable[str]) -> str | None:
    """A cursor that a class of somebody's made. Raises MalformedResponse where it holds a credential: it is stored."""
    if cursor is not None and any(secret in cursor for secret in secrets if len(secret) >= SHORTEST):
        raise MalformedResponse("found a credential in the cursor, allowed: a cursor without")
    return cursor


def without_secrets(url: str, secrets: Iterable[str]) -> str:
    """A next link without the query parameters whose value is a credential.

    Some APIs repeat the access token in their next links; a cursor is stored, so the token must not stay in it.
    The rest of the link is kept byte for byte.
    """
    hidden = {secret for secret in secrets if secret}
    parts = urlsplit(url)
    if not any(value in hidden for _, value in parse_qsl(parts.query, keep_blank_values=True)):
        return url
    kept = [
        pair
        for pair in parts.query.split("&")
        if not any(value in hidden for _, value in parse_qsl(pair, keep_blank_values=True))
    ]
    return urlunsplit(parts._replace(query="&".join(kept)))


def with_fields(
    content: bytes | None, headers: Mapping[str, str], fields: Iterable[tuple[str, str]]
) -> tuple[bytes | None, dict[str, str]]:
    """A body with these fields put into it, under dotted paths in JSON and under names in a form, and its headers.

    Raises RequestRejected for a body that has no fields.
    """
    added, kept = list(fields), dict(headers)
    if not added:
        return content, kept
    kinds = [value for name, value in kept.items() if name.lower() == "content-type"]
    if kinds and kinds[0].startswith("application/x-www-form-urlencoded"):
        return b"&".join(filter(None, (content, urlencode(added).encode()))), kept
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        raise RequestRejected("found a body that is neither a form nor JSON, allowed: one of them") from None
    for path, value in added:
        *above, last = path.split(".")
        inside = body
        for name in above:
            inside = inside.setdefault(name, {}) if isinstance(inside, dict) else None
        if not isinstance(inside, dict):
            raise RequestRejected(f"found no place for {path} in the body, allowed: a mapping")
        inside[last] = value
    return json.dumps(body, separators=(",", ":")).encode(), kept if kinds else {
        **kept,
        "Content-Type": "application/json",
    }


def with_query(url: str, query: Iterable[tuple[str, str]]) -> str:
    """`url` with these parameters put behind its own."""
    added = urlencode(list(query))
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added))))) if added else url

"""How one user's credential is attached to a request. Pure; the transport applies it after its origin check."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.pipeline.spec import (
    PLACEHOLDER,
    ApiKey,
    Bearer,
    HeadersAuth,
    HttpBasic,
    NoAuth,
    OAuth2ClientCredentials,
    OAuth2RefreshToken,
    Pipeline,
)
from shared.pipeline.templates import Scopes, render


@dataclass(frozen=True, slots=True)
class Attachment:
    """Headers and query parameters that carry the credential; never shown."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def attachment(pipeline: Pipeline, scopes: Scopes) -> Attachment:
    """Raises RequestRejected naming a credential that the user does not have.

    The scope `access` has the `token` of a source with OAuth2.
    """
    match pipeline.source.auth:
        case Bearer(token=token):
            return Attachment(headers=(("Authorization", f"Bearer {render(token, scopes)}"),))
        case ApiKey(name=name, key=key, location="header"):
            return Attachment(headers=((name, render(key, scopes)),))
        case ApiKey(name=name, key=key):
            return Attachment(query=((name, render(key, scopes)),))
        case HttpBasic(username=username, password=password):
            pair = f"{render(username, scopes)}:{render(password, scopes)}".encode()
            return Attachment(headers=(("Authorization", f"Basic {base64.b64encode(pair).decode()}"),))
        case HeadersAuth(headers=headers):
            return Attachment(headers=tuple((name, render(value, scopes)) for name, value in headers.items()))
        case OAuth2ClientCredentials(name=name, location=location) | OAuth2RefreshToken(name=name, location=location):
            token = str(scopes["access"]["token"])
            if name is None:
                return Attachment(headers=(("Authorization", f"Bearer {token}"),))
            return Attachment(headers=((name, token),)) if location == "header" else Attachment(query=((name, token),))
        case NoAuth():
            return Attachment()


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
        case NoAuth():
            templates = []
    found = PLACEHOLDER.findall(" ".join(templates))
    names = {name for scope, name in found if scope == "credentials"}
    return [value for name, value in credentials.items() if name in names]


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


def with_query(url: str, query: Iterable[tuple[str, str]]) -> str:
    """`url` with these parameters put behind its own."""
    added = urlencode(list(query))
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added))))) if added else url

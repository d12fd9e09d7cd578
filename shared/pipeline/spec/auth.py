"""How one user is let in."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.fields import BaseUrl, JsonPath, SecretJsonObject, SecretTemplate, Spec, given_one_of


class Bearer(Spec):
    """`Authorization: Bearer TOKEN`."""

    type: Literal["bearer"]
    token: SecretTemplate


class ApiKey(Spec):
    """A key in a header, in the query or in the body, under `name`."""

    type: Literal["api_key"]
    name: str = Field(min_length=1)
    key: SecretTemplate
    location: Literal["header", "query", "body"] = "header"


class HttpBasic(Spec):
    """`Authorization: Basic …`."""

    type: Literal["http_basic"]
    username: SecretTemplate
    password: SecretTemplate


class HeadersAuth(Spec):
    """Several headers that carry the credential together."""

    type: Literal["headers"]
    headers: dict[str, SecretTemplate] = Field(min_length=1)


class AccessToken(BaseModel):
    """A token that is asked for: how long it lives where nobody says so, when it is renewed, and how it is sent."""

    default_token_expiration: int = Field(3600, ge=1, strict=True)
    renewal_margin: int = Field(60, ge=0, strict=True)
    name: str | None = Field(None, min_length=1)
    location: Literal["header", "query", "cookie", "body"] = "header"
    prefix: str | None = None

    @model_validator(mode="after")
    def _has_a_name_but_in_the_usual_header(self) -> Self:
        if self.location != "header" and self.name is None:
            what = {"query": "query parameter", "cookie": "cookie", "body": "field"}[self.location]
            raise ValueError(
                f"found location: {self.location} without a name, allowed: the name of the {what} beside it"
            )
        return self


class OAuth2(AccessToken):
    """What the OAuth2 grants have in common: how an access token is asked for and read."""

    token_url: BaseUrl
    client_id: SecretTemplate
    scopes: tuple[SecretTemplate, ...] = ()
    client_auth: Literal["body", "basic"] = "body"
    access_token_request_data: dict[str, SecretTemplate] = Field(default={})
    access_token_path: JsonPath = "access_token"  # noqa: S105 - where a token stands, not one
    expires_in_path: JsonPath = "expires_in"


class OAuth2ClientCredentials(OAuth2, Spec):
    """An access token for a client id and secret, RFC 6749 section 4.4."""

    type: Literal["oauth2_client_credentials"]
    client_secret: SecretTemplate


class OAuth2RefreshToken(OAuth2, Spec):
    """An access token for a refresh token that the user has, RFC 6749 section 6; a rotated one takes its place."""

    type: Literal["oauth2_refresh_token"]
    client_secret: SecretTemplate | None = None
    refresh_token: SecretTemplate
    refresh_token_path: JsonPath = "refresh_token"  # noqa: S105 - where a token stands, not one

    @model_validator(mode="after")
    def _basic_has_a_secret(self) -> Self:
        if self.client_auth == "basic" and self.client_secret is None:
            raise ValueError("found client_auth: basic without a client_secret, allowed: body, or a client_secret")
        return self


class Login(AccessToken, Spec):
    """A token for what the source's login asks for, such as a name and a password: found in the answer."""

    type: Literal["login"]
    login_url: BaseUrl
    headers: dict[str, SecretTemplate] = Field(default={})
    json_body: SecretJsonObject | None = Field(None, alias="json")
    form: dict[str, SecretTemplate] | None = None
    token_path: JsonPath | None = None
    token_header: str | None = Field(None, min_length=1)
    token_cookie: str | None = Field(None, min_length=1)
    expires_in_path: JsonPath | None = None

    @model_validator(mode="after")
    def _sends_one_body_and_finds_one_token(self) -> Self:
        if self.json_body is not None and self.form is not None:
            raise ValueError("found both json and form, allowed: one of them")
        given_one_of(self, "token_path", "token_header", "token_cookie")
        return self


class NoAuth(Spec):
    """A source that asks nobody who they are."""

    type: Literal["none"]


Auth = Annotated[
    Bearer | ApiKey | HttpBasic | HeadersAuth | OAuth2ClientCredentials | OAuth2RefreshToken | Login | NoAuth | Custom,
    Field(discriminator="type"),
]

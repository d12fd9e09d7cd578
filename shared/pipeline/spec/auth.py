"""How one user is let in."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from shared.pipeline.spec.fields import BaseUrl, JsonPath, SecretTemplate, Spec


class Bearer(Spec):
    """`Authorization: Bearer TOKEN`."""

    type: Literal["bearer"]
    token: SecretTemplate


class ApiKey(Spec):
    """A key in a header or in the query, under `name`."""

    type: Literal["api_key"]
    name: str = Field(min_length=1)
    key: SecretTemplate
    location: Literal["header", "query"] = "header"


class HttpBasic(Spec):
    """`Authorization: Basic …`."""

    type: Literal["http_basic"]
    username: SecretTemplate
    password: SecretTemplate


class HeadersAuth(Spec):
    """Several headers that carry the credential together."""

    type: Literal["headers"]
    headers: dict[str, SecretTemplate] = Field(min_length=1)


class OAuth2(BaseModel):
    """What the OAuth2 grants have in common: how an access token is asked for, read, renewed and sent."""

    token_url: BaseUrl
    client_id: SecretTemplate
    scopes: tuple[SecretTemplate, ...] = ()
    client_auth: Literal["body", "basic"] = "body"
    access_token_request_data: dict[str, SecretTemplate] = Field(default={})
    access_token_path: JsonPath = "access_token"  # noqa: S105 - where a token stands, not one
    expires_in_path: JsonPath = "expires_in"
    default_token_expiration: int = Field(3600, ge=1, strict=True)
    renewal_margin: int = Field(60, ge=0, strict=True)
    name: str | None = Field(None, min_length=1)
    location: Literal["header", "query"] = "header"

    @model_validator(mode="after")
    def _a_query_parameter_has_a_name(self) -> Self:
        if self.location == "query" and self.name is None:
            raise ValueError("found location: query without a name, allowed: the name of the query parameter beside it")
        return self


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


class NoAuth(Spec):
    """A source that asks nobody who they are."""

    type: Literal["none"]


Auth = Annotated[
    Bearer | ApiKey | HttpBasic | HeadersAuth | OAuth2ClientCredentials | OAuth2RefreshToken | NoAuth,
    Field(discriminator="type"),
]

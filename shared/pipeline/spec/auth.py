"""How one user is let in."""

from typing import Annotated, Literal

from pydantic import Field

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.fields import SecretTemplate, Spec


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


class NoAuth(Spec):
    """A source that asks nobody who they are."""

    type: Literal["none"]


Auth = Annotated[Bearer | ApiKey | HttpBasic | HeadersAuth | NoAuth | Custom, Field(discriminator="type")]

"""The API that a pipeline file describes."""

from pydantic import Field

from shared.pipeline.spec.auth import Auth
from shared.pipeline.spec.fields import BaseUrl, Name, Origin, SourceTemplate, Spec
from shared.pipeline.spec.limits import Limit
from shared.pipeline.spec.reading import ResponseRule


class Source(Spec):
    """The API: where it is and how one user is let in.

    `allowed_origins` are origins besides that of `base_url` to which next links may lead; the credential goes
    to these origins only. Pipelines that name the same `app` share its limits, blocks and breaker.
    """

    base_url: BaseUrl
    auth: Auth
    headers: dict[str, SourceTemplate] = Field(default={})
    allowed_origins: tuple[Origin, ...] = ()
    responses: tuple[ResponseRule, ...] = ()
    app: Name | None = None
    limits: tuple[Limit, ...] = ()

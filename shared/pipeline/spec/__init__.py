"""The language of pipeline files: one file describes a source, its streams and how they are read.

Every model refuses unknown keys. `docs/pipelines.md` is the reference.
"""

from shared.pipeline.spec.auth import ApiKey, Auth, Bearer, HeadersAuth, HttpBasic, NoAuth
from shared.pipeline.spec.fields import PLACEHOLDER, QueryValue, Spec
from shared.pipeline.spec.paginators import (
    Cursor,
    HeaderLink,
    JsonLink,
    NextQuery,
    Offset,
    PageNumber,
    Paginator,
    SinglePage,
    StopWhen,
)
from shared.pipeline.spec.pipeline import Pipeline
from shared.pipeline.spec.reading import BodyMatch, HeaderMatch, ResponseRule, Wait
from shared.pipeline.spec.request import PageSize
from shared.pipeline.spec.source import Source
from shared.pipeline.spec.stream import Stream

__all__ = [
    "PLACEHOLDER",
    "ApiKey",
    "Auth",
    "Bearer",
    "BodyMatch",
    "Cursor",
    "HeaderLink",
    "HeaderMatch",
    "HeadersAuth",
    "HttpBasic",
    "JsonLink",
    "NextQuery",
    "NoAuth",
    "Offset",
    "PageNumber",
    "PageSize",
    "Paginator",
    "Pipeline",
    "QueryValue",
    "ResponseRule",
    "SinglePage",
    "Source",
    "Spec",
    "StopWhen",
    "Stream",
    "Wait",
]

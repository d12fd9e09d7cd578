"""The language of pipeline files: one file describes a source, its streams and how they are read.

Every model refuses unknown keys. `docs/pipelines.md` is the reference.
"""

from shared.pipeline.spec.auth import ApiKey, Auth, Bearer, HeadersAuth, HttpBasic, NoAuth
from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.fields import PLACEHOLDER, Spec
from shared.pipeline.spec.identity import Deleted
from shared.pipeline.spec.paginators import (
    Cursor,
    HeaderLink,
    JsonLink,
    Offset,
    PageNumber,
    Paginator,
    SinglePage,
)
from shared.pipeline.spec.pipeline import Pipeline
from shared.pipeline.spec.source import Source
from shared.pipeline.spec.stream import Stream
from shared.pipeline.spec.transforms import Drop, Redact, Rename, Select, Transform

__all__ = [
    "PLACEHOLDER",
    "ApiKey",
    "Auth",
    "Bearer",
    "Cursor",
    "Custom",
    "Deleted",
    "Drop",
    "HeaderLink",
    "HeadersAuth",
    "HttpBasic",
    "JsonLink",
    "NoAuth",
    "Offset",
    "PageNumber",
    "Paginator",
    "Pipeline",
    "Redact",
    "Rename",
    "Select",
    "SinglePage",
    "Source",
    "Spec",
    "Stream",
    "Transform",
]

"""The language of pipeline files: one file describes a source, its streams and how they are read.

Every model refuses unknown keys. `docs/pipelines.md` is the reference.
"""

from shared.pipeline.spec.auth import ApiKey, Auth, Bearer, HeadersAuth, HttpBasic, NoAuth
from shared.pipeline.spec.fields import PLACEHOLDER, Spec
from shared.pipeline.spec.outputs import (
    DEFAULT_OUTPUTS,
    JsonLines,
    Objects,
    Output,
    Parquet,
    ServiceBusMessages,
    output_id,
)
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

__all__ = [
    "DEFAULT_OUTPUTS",
    "PLACEHOLDER",
    "ApiKey",
    "Auth",
    "Bearer",
    "Cursor",
    "HeaderLink",
    "HeadersAuth",
    "HttpBasic",
    "JsonLines",
    "JsonLink",
    "NoAuth",
    "Objects",
    "Offset",
    "Output",
    "PageNumber",
    "Paginator",
    "Parquet",
    "Pipeline",
    "ServiceBusMessages",
    "SinglePage",
    "Source",
    "Spec",
    "Stream",
    "output_id",
]

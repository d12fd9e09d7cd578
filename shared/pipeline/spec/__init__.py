"""The language of pipeline files: one file describes a source, its streams and how they are read.

Every model refuses unknown keys. `docs/pipelines.md` is the reference.
"""

from shared.pipeline.spec.auth import (
    AccessToken,
    ApiKey,
    Auth,
    Bearer,
    HeadersAuth,
    HttpBasic,
    Login,
    NoAuth,
    OAuth2,
    OAuth2ClientCredentials,
    OAuth2RefreshToken,
)
from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.error_policy import ErrorPolicy
from shared.pipeline.spec.fields import PLACEHOLDER, QueryValue, Spec
from shared.pipeline.spec.identity import Deleted
from shared.pipeline.spec.incremental import Incremental
from shared.pipeline.spec.limits import Limit
from shared.pipeline.spec.off_peak import OffPeak
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
    NextQuery,
    Offset,
    PageNumber,
    Paginator,
    SinglePage,
    StopWhen,
)
from shared.pipeline.spec.parallel import Parallel
from shared.pipeline.spec.parent import Parent
from shared.pipeline.spec.pipeline import Pipeline
from shared.pipeline.spec.reading import BodyMatch, Decoder, HeaderMatch, ResponseRule, Wait
from shared.pipeline.spec.request import PageSize
from shared.pipeline.spec.source import Source
from shared.pipeline.spec.stream import Stream
from shared.pipeline.spec.transforms import Drop, Redact, Rename, Select, Transform
from shared.pipeline.spec.windows import FixedWindows, GlobalWindow, SessionWindows, SlidingWindows, Split

__all__ = [
    "DEFAULT_OUTPUTS",
    "PLACEHOLDER",
    "AccessToken",
    "ApiKey",
    "Auth",
    "Bearer",
    "BodyMatch",
    "Cursor",
    "Custom",
    "Decoder",
    "Deleted",
    "Drop",
    "ErrorPolicy",
    "FixedWindows",
    "GlobalWindow",
    "HeaderLink",
    "HeaderMatch",
    "HeadersAuth",
    "HttpBasic",
    "Incremental",
    "JsonLines",
    "JsonLink",
    "Limit",
    "Login",
    "NextQuery",
    "NoAuth",
    "OAuth2",
    "OAuth2ClientCredentials",
    "OAuth2RefreshToken",
    "Objects",
    "OffPeak",
    "Offset",
    "Output",
    "PageNumber",
    "PageSize",
    "Paginator",
    "Parallel",
    "Parent",
    "Parquet",
    "Pipeline",
    "QueryValue",
    "Redact",
    "Rename",
    "ResponseRule",
    "Select",
    "ServiceBusMessages",
    "SessionWindows",
    "SinglePage",
    "SlidingWindows",
    "Source",
    "Spec",
    "Split",
    "StopWhen",
    "Stream",
    "Transform",
    "Wait",
    "output_id",
]

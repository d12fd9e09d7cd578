"""Every setting: name, default, help. Read once, from the environment (which is where app settings arrive)."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import InvalidSettings

OVERRIDES = "SCHEDULE_"
"""What the names of settings begin with that take the place of a schedule in a pipeline file."""

QUEUE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,258}[A-Za-z0-9]$")


class Settings(BaseModel):
    """The app's settings. `docs/settings.md` is generated from here and tested to be in step.

    A connection is either a connection string (`SERVICE_BUS`, `STORAGE`) or, for managed identity, the `__` forms
    that the Functions host reads too.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=False, extra="ignore", hide_input_in_errors=True)

    service_bus: str | None = Field(None, alias="SERVICE_BUS", repr=False, description="Service Bus connection string.")
    service_bus_namespace: str | None = Field(
        None,
        alias="SERVICE_BUS__fullyQualifiedNamespace",
        description="Service Bus host name, for managed identity instead of a connection string.",
    )
    storage: str | None = Field(
        None,
        alias="STORAGE",
        repr=False,
        description="Connection string of the account for tables and blobs.",
    )
    storage_tables: str | None = Field(
        None, alias="STORAGE__tableServiceUri", description="Table endpoint, for managed identity."
    )
    storage_blobs: str | None = Field(
        None, alias="STORAGE__blobServiceUri", description="Blob endpoint, for managed identity."
    )
    queue_mine_high: str = Field("mine-high", alias="QUEUE_MINE_HIGH", description="Queue of high priority pipelines.")
    queue_mine: str = Field("mine", alias="QUEUE_MINE", description="Queue of normal pipelines.")
    queue_mine_low: str = Field("mine-low", alias="QUEUE_MINE_LOW", description="Queue of low priority pipelines.")
    queue_deliver: str = Field("deliver", alias="QUEUE_DELIVER", description="Queue of delivery wake-ups.")
    schedule_cron: str = Field(
        "0 * * * * *",
        alias="SCHEDULE_CRON",
        description="NCRONTAB of the scheduler: how often it looks who is due.",
    )
    reconcile_cron: str = Field("30 * * * * *", alias="RECONCILE_CRON", description="NCRONTAB of the reconciler.")
    compact_cron: str = Field(
        "0 40 * * * *",
        alias="COMPACT_CRON",
        description="NCRONTAB of the function that merges small objects, of outputs that say `merge_after`.",
    )
    schedules: Literal["cron", "requested"] = Field(
        "cron",
        alias="SCHEDULES",
        description="`cron` starts runs as the pipeline files say; `requested` only those that were asked for.",
    )
    pipelines_dir: str = Field("pipelines", alias="PIPELINES_DIR", description="Folder of the pipeline files.")
    output: str = Field(
        "blob://output",
        alias="OUTPUT",
        description="Where records go, unless a pipeline file says otherwise: `blob://CONTAINER` in the storage "
        "account, or `file:///FOLDER`.",
    )
    credential_keys: str = Field(
        "",
        alias="CREDENTIAL_KEYS",
        repr=False,
        description="Fernet keys, comma separated: the first encrypts credentials, all of them decrypt.",
    )
    delivery_records: int = Field(
        1000, alias="DELIVERY_RECORDS", ge=1, description="Staged records that start a delivery at once."
    )
    delivery_bytes: int = Field(
        5_000_000,
        alias="DELIVERY_BYTES",
        ge=1,
        description="Staged bytes (as JSON) that start a delivery at once.",
    )
    delivery_seconds: float = Field(
        60, alias="DELIVERY_SECONDS", ge=0, description="Longest time a staged record waits for its delivery."
    )
    reconcile_after_seconds: float = Field(
        120,
        alias="RECONCILE_AFTER_SECONDS",
        ge=1,
        description="An open run without progress for so long, and for as long as messages wait in its queue, gets a "
        "new wake-up.",
    )
    index_rows: int = Field(
        200,
        alias="INDEX_ROWS",
        ge=1,
        description="Rows of the dedupe index of a stream and user above which they are folded when a run has ended.",
    )
    pages_per_message: int = Field(
        1,
        alias="PAGES_PER_MESSAGE",
        ge=1,
        le=50,
        description="Pages that one message mines and commits together, within 15 seconds; a stream may say another "
        "number.",
    )
    overlong_hours: float = Field(
        24,
        alias="OVERLONG_HOURS",
        gt=0,
        description="A run that is open for longer is shown as overlong, and the reconciler warns of it.",
    )
    request_seconds: float = Field(
        30, alias="REQUEST_SECONDS", gt=0, description="Total time for one response, body included."
    )
    quick_retries: int = Field(
        2,
        alias="QUICK_RETRIES",
        ge=0,
        le=2,
        description="How often a cut connection or a 5xx is tried again at once, before the page is put off.",
    )
    client_idle_seconds: float = Field(
        300,
        alias="CLIENT_IDLE_SECONDS",
        gt=0,
        description="A user's HTTP client is closed after so long unused.",
    )
    client_limit: int = Field(
        1000,
        alias="CLIENT_LIMIT",
        ge=1,
        description="HTTP clients kept per instance; the least recently used goes.",
    )

    schedule_overrides: dict[str, str] = Field(
        {}, description="Schedules that take the place of those in the pipeline files, by the name of their setting."
    )

    @model_validator(mode="after")
    def _connections_are_there(self) -> "Settings":
        if not (self.service_bus or self.service_bus_namespace):
            raise ValueError(
                "SERVICE_BUS: found nothing, allowed: a connection string (or SERVICE_BUS__fullyQualifiedNamespace)"
            )
        if not (self.storage or (self.storage_tables and self.storage_blobs)):
            raise ValueError(
                "STORAGE: found nothing, allowed: a connection string "
                "(or STORAGE__tableServiceUri and STORAGE__blobServiceUri)"
            )
        if not re.match(r"^(blob://[a-z0-9](-?[a-z0-9])+|file:///.+)$", self.output):
            raise ValueError(f"OUTPUT: found {self.output!r}, allowed: blob://CONTAINER or file:///FOLDER")
        for name in ("queue_mine_high", "queue_mine", "queue_mine_low", "queue_deliver"):
            if not QUEUE_NAME.match(getattr(self, name)):
                raise ValueError(f"{name.upper()}: found {getattr(self, name)!r}, allowed: a Service Bus queue name")
        return self

    @staticmethod
    def read(environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings with one line per mistake; secrets are never shown."""
        names = [field.alias for field in Settings.model_fields.values() if field.alias is not None]
        present: dict[str, Any] = {name: environ[name] for name in names if environ.get(name)}
        present["schedule_overrides"] = {
            name: value for name, value in environ.items() if name.startswith(OVERRIDES) and name not in names and value
        }
        try:
            return Settings(**present)
        except ValidationError as error:
            raise InvalidSettings("; ".join(_line(found) for found in error.errors(include_url=False))) from None


def _line(found: Any) -> str:
    """Only numbers and choices can be wrong by themselves, so no secret is shown."""
    where = ".".join(map(str, found["loc"]))
    message = str(found["msg"]).removeprefix("Value error, ")
    if not where:
        return f"setting {message}"
    allowed = message.removeprefix("Input should be ").split(", unable")[0]
    return f"setting {where}: found {found['input']!r}, allowed: {allowed}"

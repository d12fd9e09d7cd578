"""Where committed records go, and in what shape."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.fields import Duration, Spec

PLACE = re.compile(r"^(blob://[a-z0-9](-?[a-z0-9])+|file:///.+)$")
ENTITY = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?$")
PARTITION = re.compile(r"^(date|user|record\.[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)$")


def _is_place(value: str) -> str:
    if not PLACE.match(value):
        raise ValueError(f"found {value!r}, allowed: blob://CONTAINER or file:///FOLDER")
    return value


def _is_partition(value: str) -> str:
    if not PARTITION.match(value):
        raise ValueError(f"found {value!r}, allowed: date, user or record.FIELD")
    return value


def _is_entity(value: str) -> str:
    if not ENTITY.match(value):
        raise ValueError(f"found {value!r}, allowed: a Service Bus name")
    return value


EntityName = Annotated[str, AfterValidator(_is_entity)]
Place = Annotated[str, AfterValidator(_is_place)]
Partition = Annotated[str, AfterValidator(_is_partition)]


class Objects(Spec):
    """What outputs that write objects have in common.

    `to` is a place (absent: the setting OUTPUT). `partition_by` makes the folders below pipeline and stream, in this
    order. `batch_records` and `batch_bytes` bound an object, and so much, or `batch_seconds` since the first record,
    starts its delivery (absent: DELIVERY_RECORDS, DELIVERY_BYTES and DELIVERY_SECONDS).

    Objects that are `merge_after` old are merged into such of about `merge_bytes` (absent: never).
    """

    partition_by: tuple[Partition, ...] = ("date",)
    batch_records: int | None = Field(None, ge=1, strict=True)
    batch_bytes: int | None = Field(None, ge=1, strict=True)
    batch_seconds: float | None = Field(None, ge=0, strict=True)
    merge_after: Duration | None = None
    merge_bytes: int = Field(64 * 1024 * 1024, ge=1, strict=True)
    to: Place | None = None

    @model_validator(mode="after")
    def _no_partition_twice(self) -> "Objects":
        if len(set(self.partition_by)) < len(self.partition_by):
            raise ValueError("found a partition twice, allowed: each once")
        return self


class JsonLines(Objects):
    """Objects of lines, each a record as JSON."""

    type: Literal["json_lines"]
    compression: Literal["none", "gzip", "zstd"] = "none"

    @property
    def suffix(self) -> str:
        return {"none": ".jsonl", "gzip": ".jsonl.gz", "zstd": ".jsonl.zst"}[self.compression]


class Parquet(Objects):
    """Objects of columns, whose types are those of the values that were seen."""

    type: Literal["parquet"]
    compression: Literal["zstd", "snappy"] = "zstd"

    @property
    def suffix(self) -> str:
        return ".parquet"


class ServiceBusMessages(Spec):
    """Messages to a queue or a topic of the app's own namespace, each of at most `batch` records as JSON Lines.

    `batch_seconds` is how long a record waits (absent: DELIVERY_SECONDS).
    A body over `compress_above` bytes is compressed with gzip (absent: only one that would not fit otherwise).
    """

    type: Literal["service_bus"]
    queue: EntityName | None = None
    topic: EntityName | None = None
    batch: int = Field(100, ge=1, strict=True)
    batch_seconds: float | None = Field(None, ge=0, strict=True)
    compress_above: int | None = Field(None, ge=1, strict=True)

    @model_validator(mode="after")
    def _one_way(self) -> "ServiceBusMessages":
        if (self.queue is None) == (self.topic is None):
            raise ValueError("found both or neither of queue and topic, allowed: one of them")
        return self


Output = Annotated[JsonLines | Parquet | ServiceBusMessages | Custom, Field(discriminator="type")]


def output_id(output: Output) -> str:
    """Names an output in the progress of its delivery: by kind and place, so that the order in the file and how
    the objects look may change on the way. A class of somebody's is its own place, whatever its options."""
    if isinstance(output, Custom):
        return f"custom {output.class_name}"
    if isinstance(output, ServiceBusMessages):
        return f"service_bus {'queue' if output.queue else 'topic'}/{output.queue or output.topic}"
    return f"{output.type} {output.to or ''}".strip()


DEFAULT_OUTPUTS: tuple[Output, ...] = (JsonLines(type="json_lines"),)
"""Of a pipeline file without `outputs`."""


def outputs_differ(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    ids = [output_id(output) for output in outputs]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise ValueError(f"found two outputs {twice[0]!r}, allowed: one of a type for one place")
    return outputs

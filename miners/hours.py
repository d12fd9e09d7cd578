"""When a user's turn comes and when the source may be asked, as the pipeline file says.

Who only runs what was asked for (SCHEDULES) does not wait: somebody does.
"""

from datetime import datetime

from shared.checkpoint import Checkpoint
from shared.messages import StreamKey
from shared.pipeline.off_peak import is_open, put_off
from shared.pipeline.spec import OffPeak, Pipeline, Stream
from shared.pipeline.turns import first_turn, offset_of
from shared.services import Services


def may_begin(pipeline: Pipeline, stream: Stream, services: Services) -> bool:
    """Whether runs of this stream may begin now."""
    hours = _hours(pipeline, stream, services)
    return hours is None or is_open(hours, services.now())


def turn_of(key: StreamKey, tick: datetime, pipeline: Pipeline, stream: Stream, services: Services) -> datetime | None:
    """When the first page of the run that is due since `tick` may be fetched, or None: now."""
    now = services.now()
    if services.settings.schedules == "requested":
        return None
    turn = first_turn(key, pipeline.stagger_of(stream), tick, now, pipeline.off_peak_of(stream))
    return turn if turn > now else None


def closed_until(checkpoint: Checkpoint, services: Services) -> datetime | None:
    """When the page that the checkpoint waits for may be fetched, or None: now."""
    pipeline = services.pipelines.get(checkpoint.key.pipeline)
    stream = pipeline.stream(checkpoint.key.stream) if pipeline else None
    hours = _hours(pipeline, stream, services) if pipeline and stream else None
    if pipeline is None or stream is None or hours is None:
        return None
    now = services.now()
    opening = put_off(hours, now, offset_of(checkpoint.key, pipeline.stagger_of(stream)))
    return opening if opening > now else None


def _hours(pipeline: Pipeline, stream: Stream, services: Services) -> OffPeak | None:
    return None if services.settings.schedules == "requested" else pipeline.off_peak_of(stream)

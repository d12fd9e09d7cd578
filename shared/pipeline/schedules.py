"""Schedules that settings put in the place of those in pipeline files. Pure."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from shared.errors import InvalidSettings
from shared.pipeline.spec import Pipeline, Stream
from shared.pipeline.spec.fields import Schedule

Place = tuple[str, str]
"""A pipeline and its stream, which is empty for the pipeline as a whole."""

SCHEDULE: TypeAdapter[str] = TypeAdapter(Schedule)


def rescheduled(pipelines: Mapping[str, Pipeline], overrides: Mapping[str, str]) -> dict[str, Pipeline]:
    """The pipelines with the schedules that `overrides` name, such as SCHEDULE_SHOP or SCHEDULE_SHOP_ORDERS.

    Names that fit nothing are left alone. Raises InvalidSettings with every mistake.
    """
    places = [(name, each) for name, pipeline in pipelines.items() for each in ("", *_names(pipeline))]
    wanted: dict[Place, str] = {}
    mistakes: list[str] = []
    for name, value in sorted(overrides.items()):
        meant = [place for place in places if setting_of(*place) == name]
        mistakes += _mistakes(name, value, meant)
        wanted |= dict.fromkeys(meant, value)
    if mistakes:
        raise InvalidSettings("; ".join(mistakes))
    return {name: _changed(pipeline, wanted) for name, pipeline in pipelines.items()}


def setting_of(pipeline: str, stream: str = "") -> str:
    """The setting that takes the place of this schedule."""
    return "_".join(["SCHEDULE", pipeline, *([stream] if stream else [])]).replace("-", "_").upper()


def _names(pipeline: Pipeline) -> list[str]:
    return [stream.name for stream in pipeline.streams]


def _mistakes(name: str, value: str, meant: list[Place]) -> list[str]:
    if len(meant) > 1:
        found = " and ".join("/".join(filter(None, place)) for place in meant)
        return [f"setting {name}: found {found}, which share this name, allowed: for one schedule"]
    try:
        if meant:
            SCHEDULE.validate_python(value)
    except ValidationError as error:
        allowed = str(error.errors()[0]["ctx"]["error"])
        return [f"setting {name}: found {value!r}, {allowed}"]
    return []


def _changed(pipeline: Pipeline, wanted: Mapping[Place, str]) -> Pipeline:
    def of(stream: Stream) -> Stream:
        schedule = wanted.get((pipeline.pipeline, stream.name), stream.schedule)
        return stream.model_copy(update={"schedule": schedule})

    schedule = wanted.get((pipeline.pipeline, ""), pipeline.schedule)
    return pipeline.model_copy(update={"schedule": schedule, "streams": tuple(map(of, pipeline.streams))})

"""One pipeline file."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from shared.messages import Priority
from shared.pipeline.spec.fields import PLACEHOLDER, Duration, Name, Schedule, Spec
from shared.pipeline.spec.off_peak import OffPeak
from shared.pipeline.spec.outputs import Output, outputs_differ
from shared.pipeline.spec.source import Source
from shared.pipeline.spec.stream import Stream


def _stream_names_differ(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    names = [stream.name for stream in streams]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"found two streams named {twice[0]!r}, allowed: one name for one stream")
    return streams


def _parents_are_there(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    above = {stream.name: stream.parent.stream for stream in streams if stream.parent is not None}
    for name, parent in above.items():
        if parent not in {stream.name for stream in streams}:
            allowed = ", ".join(stream.name for stream in streams if stream.name != name) or "another stream"
            raise ValueError(f"found {name} with the parent {parent!r}, allowed: {allowed}")
        line = [name]
        while line[-1] in above:
            line.append(above[line[-1]])
            if line[-1] == name:
                raise ValueError(f"found {' ← '.join(line)}, allowed: parents that end at a stream without one")
            if len(line) > len(streams):
                break  # the circle is another one's
    return streams


Streams = Annotated[
    tuple[Stream, ...], Field(min_length=1), AfterValidator(_stream_names_differ), AfterValidator(_parents_are_there)
]


class Pipeline(Spec):
    """One pipeline file."""

    pipeline: Name
    source: Source
    streams: Streams
    schedule: Schedule = "0 0 * * * *"
    stagger: Duration = timedelta(0)
    off_peak: OffPeak | None = None
    priority: Priority = Priority.NORMAL
    outputs: Annotated[tuple[Output, ...], AfterValidator(outputs_differ)] = ()

    @model_validator(mode="after")
    def _everybody_has_a_turn_in_the_hours(self) -> Self:
        for stream in self.streams:
            hours = self.off_peak_of(stream)
            if hours is not None and self.stagger_of(stream) > hours.length:
                raise ValueError(
                    f"found a stagger that is longer than off_peak in {stream.name}, allowed: a shorter one"
                )
        return self

    @model_validator(mode="after")
    def _limits_are_about_streams_that_are_there(self) -> Self:
        names = [stream.name for stream in self.streams]
        for limit in self.source.limits:
            if unknown := [name for name in limit.streams if name not in names]:
                raise ValueError(f"found a limit of the stream {unknown[0]!r}, allowed: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _a_credential_in_the_body_has_one(self) -> Self:
        without = [stream.name for stream in self.streams if stream.method != "post" and stream.extractor is None]
        if getattr(self.source.auth, "location", None) == "body" and without:
            raise ValueError(f"found location: body with the method get in {without[0]}, allowed: method: post")
        return self

    @property
    def app(self) -> str:
        """Who shares the limits of the source."""
        return f"app {self.source.app}" if self.source.app else self.pipeline

    def has_company(self, stream: Stream) -> bool:
        """Whether one user may be mined by several messages at a time."""
        return len(self.streams) > 1 or stream.at_once > 1 or self.source.app is not None

    def stream(self, name: str) -> Stream | None:
        return next((stream for stream in self.streams if stream.name == name), None)

    def children(self, name: str) -> tuple[Stream, ...]:
        """The streams that are fed by this one."""
        return tuple(stream for stream in self.streams if stream.parent is not None and stream.parent.stream == name)

    def schedule_of(self, stream: Stream) -> str:
        """The NCRONTAB that starts the runs of this stream."""
        return stream.schedule or self.schedule

    def stagger_of(self, stream: Stream) -> timedelta:
        """Over how long the users of this stream are spread, from the moment at which they are due."""
        return self.stagger if stream.stagger is None else stream.stagger

    def off_peak_of(self, stream: Stream) -> OffPeak | None:
        """When pages of this stream may be fetched; None: always."""
        return stream.off_peak or self.off_peak

    @property
    def credentials(self) -> frozenset[str]:
        """Names of the credentials that every user of this pipeline must have."""
        transforms = [transform for stream in self.streams for transform in stream.transforms]
        text = " ".join(str(value) for part in (self.source.auth, *transforms) for value in part.model_dump().values())
        return frozenset(name for scope, name in PLACEHOLDER.findall(text) if scope == "credentials")

    @property
    def params(self) -> frozenset[str]:
        """Names of the parameters that every user of this pipeline must have."""
        text = self.model_dump_json()
        return frozenset(name for scope, name in PLACEHOLDER.findall(text) if scope == "params")

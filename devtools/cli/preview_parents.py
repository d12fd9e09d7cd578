"""What the preview of a stream that is fed by another one needs first: a record of its parent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from devtools.cli.preview_steps import Subject, looks
from shared.adapters.source_http import Source
from shared.errors import BadInput
from shared.pipeline.chains import Values, passed_along, with_parent_fields


async def with_parents(subject: Subject, source: Source, now: Callable[[], datetime]) -> Subject:
    """The subject with what the first records of its parent pass along; as many as its batch size.

    Raises BadInput where the first page of the parent can't be had, or passes nothing along.
    """
    parent = subject.stream.parent
    if parent is None:
        return subject
    above = subject.pipeline.stream(parent.stream)
    if above is None or above.extractor is not None:
        raise BadInput(f"--stream: found {subject.stream.name}, allowed: a stream whose parent has a paginator")
    found = await _passed(replace(subject, stream=above), subject.stream.name, source, now)
    if not found:
        names = ", ".join(parent.input_mapping.values())
        raise BadInput(f"--stream: the first page of {above.name} has no record with {names}, allowed: one that has")
    return replace(subject, parents=tuple(found[: parent.batch_size]))


async def _passed(above: Subject, child: str, source: Source, now: Callable[[], datetime]) -> list[Values]:
    above = await with_parents(above, source, now)
    async for look in looks(above, 1, source, now):
        if look.page is None or look.error is not None:
            told = f"{look.error}; headframe preview --stream {above.stream.name} shows more"
            raise BadInput(f"--stream: the first page of {above.stream.name} could not be had: {told}")
        records = look.page.records
        if above.stream.parent is not None:
            records = with_parent_fields(records, above.stream.parent, above.parents)
        fed = [each for each in above.pipeline.children(above.stream.name) if each.name == child]
        return [values for passed in passed_along(records, fed, {}) for values in passed.values]
    return []

"""What the miner would do after a failure, and which key of the pipeline file to look at. Pure."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from devtools.cli.preview_steps import Look, Subject
from shared.errors import (
    CursorLoop,
    ErrorKind,
    InvalidCredential,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.json_path import found_at
from shared.pipeline.responses import Response
from shared.pipeline.slices import split_of
from shared.pipeline.spec import Stream
from shared.retries import POLICY, next_wait

BEGINNING = 200
"""Characters of a body that are shown where it is no JSON."""

HIDDEN_IN = 16 * 1024
"""Bytes in which secrets are hidden before anything is cut off: half a secret would not be found."""

DEEPEST = 4
MOST_NAMED = 12

BY_STATUS = {
    404: "path",
    405: "path",
    406: "headers",
    410: "path",
    414: "query",
    415: "headers",
}
"""Options of a stream that a status speaks of; other refusals are about the query more often than not."""

Hide = Callable[[str], str]
"""The text without secrets."""


def what_follows(error: SourceError, subject: Subject, look: Look) -> str:
    """What the miner would do now, had it met this failure as the first one."""
    policy = subject.stream.on_error
    if isinstance(error, RequestRejected) and look.number == 1 and _may_be_halved(subject):
        return "the miner would ask for half of the window instead"
    wait = next_wait(error.kind, 0, error.retry_after, lambda: 0.5, policy)
    if wait is None:
        return f"the miner would not try again; it would {_giving_up(error.kind, subject.stream)}"
    times = POLICY[error.kind].times if policy.max_retries is None else policy.max_retries
    asked = ", as the source asks" if error.retry_after is not None else ""
    at_last = _giving_up(error.kind, subject.stream)
    return f"the miner would retry after {wait:.3g} s{asked}, up to {times} times, then {at_last}"


def _may_be_halved(subject: Subject) -> bool:
    split = subject.stream.windows.split if subject.stream.windows else None
    return split is not None and split.on_rejected and split_of(subject.stream, subject.slice) is not None


def _giving_up(kind: ErrorKind, stream: Stream) -> str:
    mode = stream.on_error.mode
    if kind is ErrorKind.INVALID_CREDENTIAL:
        return f"park as {kind} until the user has a new credential"
    if mode == "continue" and stream.windows is not None:
        return "leave this window out and go on"
    return f"end the run as failed ({kind})" if mode == "fail" else f"park as {kind}"


def where_to_look(error: SourceError, subject: Subject, look: Look, hide: Hide) -> str:
    """The key of the file, and what there is instead of what it hopes for; hidden is only what is cut off here."""
    place, response = f"streams[{subject.pipeline.streams.index(subject.stream)}]", look.response
    match error:
        case InvalidCredential():
            return f"source.auth (type {subject.pipeline.source.auth.type}), or the user's credential itself"
        case RateLimited():
            return f"nothing in the file; {place}.on_error says how often a failure is tried again"
        case CursorLoop():
            return f"{place}.paginator (type {subject.stream.paginator.type})"
        case MalformedResponse() if response is not None:
            return _malformed(str(error), subject.stream, place, response, hide)
        case TemporaryFailure() if response is None:
            return "source.base_url, if this stays so: nothing answers there"
        case RequestRejected() if look.page is not None:
            return f"source.allowed_origins, or {place}.paginator"
        case RequestRejected() if response is not None:
            return _refused(response, place)
        case RequestRejected():
            return "source.base_url, source.headers or source.auth: the request could not be made"
        case _:
            return "nothing in the file, unless this stays so"


def _refused(response: Response, place: str) -> str:
    if 300 <= response.status < 400:
        target = response.headers.get("location", "nowhere")
        return f"source.base_url or {place}.path: redirects are not followed, and this one leads to {target}"
    return f"{place}.{BY_STATUS.get(response.status, 'query')}, or source.base_url"


def _malformed(said: str, stream: Stream, place: str, response: Response, hide: Hide) -> str:
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        begins = hide(response.body[:HIDDEN_IN].decode("utf-8", "replace"))[:BEGINNING]
        return f"source.base_url or {place}.path, which lead to no JSON API: the body begins '{begins}'"
    where = said.partition(": found ")[0]
    if where == "body" or where in stream.records:
        return f"{place}.records{_instead(stream.records, body)}"
    options = [option for option, value in _options(stream.model_dump()) if value == where]
    return f"{place}.{options[0]}; {_keys(body)}" if options else f"{place}; {_keys(body)}"


def _instead(records: tuple[str, ...], body: Any) -> str:
    """What the body has where the path of the records finds none."""
    lists = list(_lists(body, "", 0))
    found = f"is {', '.join(map(repr, records))}" if records else "is not given"
    named = f"lists are at: {', '.join(lists[:MOST_NAMED])}" if lists else "it has no list"
    return f" {found}; {_keys(body)}; {named}"


def _keys(body: Any) -> str:
    if isinstance(body, dict):
        names = list(body)[:MOST_NAMED]
        return f"the body has the keys {', '.join(names)}" if names else "the body is an empty object"
    return f"the body is a list of {len(body)}" if isinstance(body, list) else "the body is neither object nor list"


def _lists(value: Any, path: str, depth: int) -> Iterator[str]:
    """Paths to lists, as `records` could name them."""
    if isinstance(value, list):
        yield path or "the body itself (leave records out)"
    elif isinstance(value, dict) and depth < DEEPEST:
        for key, each in value.items():
            name = key if key.isidentifier() else json.dumps(key)
            yield from _lists(each, f"{path}.{name}" if path else name, depth + 1)


def _options(values: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each option that is set, by the place below its stream."""
    for key, value in values.items():
        here = f"{place}.{key}" if place else str(key)
        if isinstance(value, dict):
            yield from _options(value, here)
        else:
            yield here, value


def remarks(look: Look, subject: Subject) -> list[str]:
    """What a page that could be read still gives away about mistakes in the file."""
    place = f"streams[{subject.pipeline.streams.index(subject.stream)}]"
    records = look.page.records if look.page else []
    if not records:
        return [f"{place}.records: the list is empty"] if look.number == 1 and look.page else []
    paths = [(f"{place}.primary_key", path) for path in subject.stream.primary_key]
    if subject.stream.incremental and subject.stream.incremental.cursor_path:
        paths.append((f"{place}.incremental.cursor_path", subject.stream.incremental.cursor_path))
    counted = [(option, path, sum(_found(path, record) is None for record in records)) for option, path in paths]
    return [f"{option}: {count} of {len(records)} records have no {path!r}" for option, path, count in counted if count]


def _found(path: str, record: Any) -> Any:
    try:
        return found_at(path, record)
    except MalformedResponse:
        return None

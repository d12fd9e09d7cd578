"""What is to be mined, from what kind of API, by how many processes, over what kind of broker."""

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from typing import Any

from processors.dedupe import MOST_ENTRIES
from shared.messages import StreamKey
from shared.pipeline.loader import load_text
from shared.pipeline.spec import Pipeline
from shared.settings import Settings
from shared.users import User
from tests.fakes.world import START

PAGINATORS = {
    "cursor": "{ type: cursor, cursor_path: next, cursor_param: after }",
    "json_link": "{ type: json_link, next_url_path: link }",
    "header_link": "{ type: header_link }",
    "next_query": "{ type: next_query, next_query_path: following }",
    "page_number": "{ type: page_number, page_param: page, base_page: 1 }",
    "offset": "{ type: offset, offset_param: offset, total_path: total }",
    "single_page": "{ type: single_page }",
    "custom": '{ type: custom, class: "tests.simulation.custom_paginator:Behind", options: { param: after } }',
}
BY_POSITION = frozenset({"cursor", "json_link", "header_link", "next_query", "custom"})
"""Kinds that find every record however the others move; the rest count, and so pass over what moves."""

PIPELINE = """
pipeline: {name}
priority: {name}
schedule: "0 0 0 1 1 *"
{pacing}
source:
  base_url: https://api.example.com/v1/{name}
  auth: {auth}
  limits: [{limits}]
streams:
"""
TOKEN_HOST = "login.example.com"
AUTHS = {
    "bearer": '{ type: bearer, token: "{credentials.token}" }',
    "refresh": '{ type: oauth2_refresh_token, token_url: "https://login.example.com/token", client_id: app, '
    'refresh_token: "{credentials.token}" }',
    "client": '{ type: oauth2_client_credentials, token_url: "https://login.example.com/token", '
    'client_id: "{user.id}", client_secret: "{credentials.token}" }',
}
SECOND = """
outputs:
  - { type: json_lines }
  - { type: json_lines, to: "file:///second", compression: gzip, partition_by: [user, record.id], batch_records: 4 }
"""
MERGING = """
outputs: [{ type: json_lines, merge_after: 1m, merge_bytes: 2000 }]
"""
FED = """
  - name: {kind}-{depth}
    path: "/{kind}-{depth}/{{parent.id}}"
    records: data
    primary_key: id
    paginator: {{ type: cursor, cursor_path: next, cursor_param: after }}
    parent: {{ stream: {above}, input_mapping: {{ id: id }}, {mode} }}
"""
"""A stream that is fed by another, some steps below a stream of its kind."""

STREAM = """
  - name: {kind}
    path: /{kind}
    records: data
    paginator: {paginator}
"""
BEGINNING = START - timedelta(hours=60)
"""When the first record of all was changed; each further position is an hour later."""

INCREMENTAL = (
    "{ cursor_path: changed, format: epoch_seconds, start_param: since, end_param: until, "
    f'initial_value: "{int(BEGINNING.timestamp())}" }}'
)


@dataclass(frozen=True)
class Workload:
    """`records` per user and stream, or `huge` of the first user, come `size` to a page; there are `runs` runs, one
    after the other, of a stream for each of `kinds` (see PAGINATORS) in a pipeline for each of `priorities`.

    Chances of the API: `moving`, that fetching a page updates a record that lies before the cursor, which then stands
    at the end once more; `deleting`, that it deletes one; `trouble`, that it answers with one of the failures of
    troubles.py; `ragged`, that a page has fewer records than asked for, perhaps none; `away`, that the next link leads
    to another host; `expiring`, that it does not know its own cursor any more; `pausing`, that it asks for
    a pause behind a page.

    `written` records are written, anew or for the first time, before each run but the first; `incremental` runs ask
    for what has changed since the last one; of streams that come `newest_first` the others stop at what they have seen.

    Incremental runs are cut into `windows`, if there are any; of each the API shows at most `most` records, and with
    `leaves_out` the runs leave out what fails. With `parallel` the slices of a run are mined side by side.

    Below each stream there are `chained` others, each fed by the one before it in the mode `chained_mode`: of every
    record they have `branches`.

    `pacing` is what the pipeline says of `stagger` and `off_peak`, `limits` are those of its source; the API blocks an
    app or a user with the chance `blocking`, and for 300 seconds nothing may be asked.

    With `adaptive`, pages begin with `size` records and may have so many, and the API refuses more than it bears, which
    is now one number and now another.

    `auth` is one of AUTHS. Where it is OAuth2, access tokens live for `token_life` seconds, and refresh tokens rotate.
    `token_trouble` is the chance that the token endpoint answers with one of the failures of troubles.py, `early` that
    the API has ended a token before its time when it is used.

    The first user has the weight `heavy`. Of the users, the first `refused` have a credential that the API never
    accepts, and for the last `looping` the API names its cursors over and over again.

    Chances of the broker: `duplicate`, `lost`, `expired` and `late` (see broker.py). `skew` is the largest error of a
    process's clock in seconds; `events` are what happens meanwhile (see events.py); `large_pages` puts every page into
    a blob; a process remembers at most `cache_entries` keys; `second` gives the pipelines a second output, which waits
    longer for its batches if it is `patient`; with `merging`, objects are merged a minute after they were written.
    `settings` are app settings.
    """

    name: str
    users: int = 2
    records: int = 5
    size: int = 2
    runs: int = 1
    kinds: tuple[str, ...] = ("cursor",)
    priorities: tuple[str, ...] = ("normal",)
    processes: int = 2
    moving: float = 0.0
    deleting: float = 0.0
    trouble: float = 0.0
    ragged: float = 0.0
    away: float = 0.0
    expiring: float = 0.0
    pausing: float = 0.0
    written: int = 0
    incremental: bool = False
    newest_first: bool = False
    windows: str = ""
    most: int = 1000
    leaves_out: bool = False
    parallel: str = ""
    chained: int = 0
    chained_mode: str = "processing_mode: sequential"
    branches: int = 2
    pacing: str = ""
    limits: str = ""
    blocking: float = 0.0
    huge: int = 0
    heavy: int = 1
    adaptive: int = 0
    auth: str = "bearer"
    token_life: float = 3.0
    token_trouble: float = 0.0
    early: float = 0.0
    refused: int = 0
    looping: int = 0
    duplicate: float = 0.0
    lost: float = 0.0
    expired: float = 0.0
    late: float = 0.0
    skew: float = 0.0
    events: tuple[str, ...] = ()
    reconciler: bool = True
    large_pages: bool = False
    emit: str = "changed"
    primary_key: bool = True
    cache_entries: int = MOST_ENTRIES
    second: bool = False
    patient: bool = False
    merging: bool = False
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> list[str]:
        """The users."""
        return [f"user{number}" for number in range(self.users)]

    def user(self, name: str, token: str) -> User:
        """One of them, with this credential."""
        return User(name, {"token": token}, weight=self.heavy if name == self.names[0] else 1)

    @property
    def timers(self) -> tuple[str, ...]:
        """The functions that run by time."""
        return "schedule", *("reconcile",) * self.reconciler, *("compact",) * self.merging

    @property
    def streams(self) -> list[str]:
        return [stream_below(kind, depth) for kind in self.kinds for depth in range(self.chained + 1)]

    @property
    def keys(self) -> list[StreamKey]:
        return [
            StreamKey(pipeline, stream, user)
            for pipeline in self.priorities
            for stream in self.streams
            for user in self.names
        ]

    @property
    def refused_users(self) -> list[str]:
        return self.names[: self.refused]

    @property
    def looping_users(self) -> list[str]:
        return self.names[len(self.names) - self.looping :]

    @property
    def is_stable(self) -> bool:
        """Whether every pass over the API shows every record, however it counts."""
        return not (self.moving or self.deleting)


def stream_below(kind: str, depth: int) -> str:
    return f"{kind}-{depth}" if depth else kind


def kind_of(stream: str) -> str:
    """How the pages of the stream at the top are followed; those of the streams below it have cursors."""
    return stream.partition("-")[0]


def depth_of(stream: str) -> int:
    """How many streams are above it in its chain."""
    return int(stream.partition("-")[2] or 0)


def as_written(value: Any) -> str:
    """Python that makes a workload, a climate or a strike, without what is as usual."""
    told = [f"{each.name}={found!r}" for each in fields(value) if (found := getattr(value, each.name)) != each.default]
    return f"{type(value).__name__}({', '.join(told)})"


def pipelines_of(workload: Workload) -> dict[str, Pipeline]:
    second = SECOND.replace("batch_records: 4", "batch_seconds: 900") if workload.patient else SECOND
    outputs = MERGING if workload.merging else second if workload.second else ""
    chain = workload.chained, workload.chained_mode
    said = workload.kinds, _options(workload), workload.auth, outputs, (workload.pacing, workload.limits), chain
    return {name: _pipeline(name, *said) for name in workload.priorities}


def _options(workload: Workload) -> str:
    """What every stream of the workload says besides where it is."""
    options = [f"emit: {workload.emit}"]
    options += ["primary_key: id"] if workload.primary_key else []
    options += [f"incremental: {INCREMENTAL}"] * workload.incremental
    options += [f"windows: {workload.windows}"] * bool(workload.windows)
    options += [f"parallel: {workload.parallel}"] * bool(workload.parallel)
    options += ["on_error: { mode: continue }"] * workload.leaves_out
    if workload.adaptive:
        sizes = f"value: {workload.size}, minimum: 1, maximum: {workload.adaptive}"
        options += [f"page_size: {{ param: size, {sizes}, adaptive: true }}"]
    options += ["stop_when: all_seen"] * (workload.newest_first and not workload.incremental)
    return "".join(f"    {option}\n" for option in options)


@cache
def _pipeline(
    name: str,
    kinds: tuple[str, ...],
    options: str,
    auth: str,
    outputs: str,
    pace: tuple[str, str],
    chain: tuple[int, str],
) -> Pipeline:
    text = PIPELINE.format(name=name, auth=AUTHS[auth], pacing=pace[0], limits=pace[1])
    for kind in kinds:
        text += STREAM.format(kind=kind, paginator=PAGINATORS[kind]) + options
        for depth in range(1, chain[0] + 1):
            above = stream_below(kind, depth - 1)
            text += FED.format(kind=kind, depth=depth, above=above, mode=chain[1])
    return load_text(text + outputs, "pipeline.yaml")


@cache
def settings_of(chosen: tuple[tuple[str, str], ...]) -> Settings:
    return Settings.read({"SERVICE_BUS": "bus", "STORAGE": "storage", "SCHEDULES": "requested", **dict(chosen)})

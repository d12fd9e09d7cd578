"""`docs/settings.md`, made from `shared/settings.py`: `python -m devtools.settings_reference > docs/settings.md`.

`tests/test_docs.py` fails when the file is not what this prints.
"""

import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from devtools.stand_ins.app_settings import NAMED_BY_TRIGGERS
from shared.settings import Settings

HEAD = """\
# Settings

Made by `python -m devtools.settings_reference` from `shared/settings.py`; do not edit by hand.

On Azure these are app settings. On your machine they stand in `local.settings.json` under `Values`; `make start`
writes that file, and `local.settings.sample.json` is one to copy. Environment variables win over the file. An empty
value counts as absent. With a wrong value every invocation fails, with one line that names the setting, what was
found and what is allowed.

Three things must be set: a connection to Service Bus (a connection string or a host name), one to storage (a
connection string or both endpoints), and `CREDENTIAL_KEYS`. `make start` makes a key; by hand:
`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`.

The settings marked *host* are named by triggers. A Functions host takes these from the settings and does not know
the defaults below: on Azure and in `local.settings.json` they must be set too.

| setting | default | allowed | meaning |
|---|---|---|---|
"""

SCHEDULES = """
## For single schedules

These take the place of a `schedule` in a pipeline file, so that it can be changed without a new deployment. The names
of the pipeline and the stream stand in capitals, with `_` for `-`. A value that is no NCRONTAB of six fields, and a
name that two schedules share, stop the app at its start. A name that fits no schedule is not looked at.

| setting | meaning |
|---|---|
"""

FOR_SCHEDULES = {
    "SCHEDULE_PIPELINE": "Schedule of the pipeline `pipeline`; streams that have one of their own keep it. A pipeline "
    "called `cron` has no such setting.",
    "SCHEDULE_PIPELINE_STREAM": "Schedule of its stream `stream`.",
}

FOR_THE_HOST = {
    "FUNCTIONS_WORKER_RUNTIME": "`python`, always.",
    "AzureWebJobsStorage": "Connection string of the storage account that the Functions host keeps its own state in.",
    "FUNCTIONS_WORKER_PROCESS_COUNT": "Worker processes of an instance, 1 to 10. One is the default.",
    "AzureWebJobs.NAME.Disabled": "`true` switches `NAME` off; on Linux also written `AzureWebJobs_NAME_Disabled`.",
}
"""What the Functions host reads and the app does not."""

TAIL = """
## For the Functions host itself

| setting | meaning |
|---|---|
"""

BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
KINDS = {str: "a text", int: "a whole number", float: "a number"}


def reference() -> str:
    """The whole page."""
    rows = [_row(field) for field in Settings.model_fields.values() if field.alias]
    schedule_rows = [f"| `{name}` | {meaning} |\n" for name, meaning in FOR_SCHEDULES.items()]
    host_rows = [f"| `{name}` | {meaning} |\n" for name, meaning in FOR_THE_HOST.items()]
    return "".join([HEAD, *rows, SCHEDULES, *schedule_rows, TAIL, *host_rows])


def _row(field: FieldInfo) -> str:
    name = str(field.alias)
    marks = ["*host*"] if name in NAMED_BY_TRIGGERS else []
    marks += [] if field.repr else ["secret"]
    shown = f"`{name}`" + (f" ({', '.join(marks)})" if marks else "")
    default = "none" if field.default in (None, "") else f"`{field.default}`"
    return f"| {shown} | {default} | {_allowed(field)} | {field.description} |\n"


def _allowed(field: FieldInfo) -> str:
    kind = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    bounds = [
        f"{words} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, words in BOUNDS.items()
        if hasattr(bound, name)
    ]
    return " ".join([KINDS[kind], *bounds])


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


if __name__ == "__main__":
    print(reference(), end="")

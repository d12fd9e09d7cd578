"""A page whose class does wrong stops one stream of one user, and nothing of the credential is kept."""

from typing import Any

import pytest

from shared.checkpoint import RunState
from shared.errors import ErrorKind
from shared.messages import StreamKey
from shared.pipeline.contracts import Fetch, Fill, Page, PageRequest, PageSeen
from tests.fakes.scripted_source import answer
from tests.fakes.world import KEY, PIPELINE, World

PAGINATOR = "    paginator: { type: cursor, cursor_path: next, cursor_param: after }\n"
EXTRACTED = "    records: data\n    primary_key: id\n" + PAGINATOR


class Telling:
    """Names the whole body as the cursor, with whatever stands there."""

    def __init__(self, options: dict[str, Any]): ...

    def request(self, first: PageRequest, cursor: str | None) -> PageRequest:
        return first

    def next_cursor(self, page: PageSeen) -> str | None:
        return str(page.body["next"])

    async def page(self, first: PageRequest, cursor: str | None, fetch: Fetch) -> Page:
        response = await fetch(first)
        return Page([], response.body.decode())


class Breaking:
    def __init__(self, options: dict[str, Any]): ...

    def transformed(self, record: dict[str, Any], fill: Fill) -> dict[str, Any]:
        if fill("{user.id}") == "bob":
            raise LookupError("of no use")
        return record | {"of": fill("{user.id}"), "v": object() if record["id"] == 9 else None}


def custom(kind: str, name: str) -> str:
    return f'    {kind}: {{ type: custom, class: "{__name__}:{name}" }}\n'


@pytest.mark.parametrize(
    "pipeline",
    [
        PIPELINE.replace(PAGINATOR, custom("paginator", "Telling")),
        PIPELINE.replace(EXTRACTED, custom("extractor", "Telling")),
    ],
    ids=["paginator", "extractor"],
)
async def test_a_cursor_that_holds_the_credential_is_never_stored(pipeline: str):
    assert "custom" in pipeline
    world = World(lambda _: answer({"data": [], "next": "after=2&token=token-of-ann"}), pipeline)
    await world.add_user()
    await world.schedule()
    await world.run()
    parked = await world.checkpoint()
    assert (parked.state, parked.last_error_kind) == (RunState.PARKED, ErrorKind.MALFORMED)
    assert parked.last_error == "found a credential in the cursor, allowed: a cursor without"
    assert not [row for row in world.streams.rows.values() if "token-of-ann" in str(row.values)]


async def test_a_class_that_breaks_for_one_user_hurts_no_other():
    transform = f'    transforms: [{{ type: custom, class: "{__name__}:Breaking" }}]\n'
    world = World(lambda _: answer({"data": [{"id": 1}]}), PIPELINE + transform)
    for user in ("ann", "bob"):
        await world.add_user(user)
    await world.schedule()
    await world.run()
    assert [(line["id"], line["of"]) for line in world.lines()] == [(1, "ann")]
    parked = await world.checkpoint(StreamKey(KEY.pipeline, KEY.stream, "bob"))
    assert parked.last_error == f"{__name__}:Breaking: LookupError"


async def test_what_json_can_not_write_is_not_written():
    transform = f'    transforms: [{{ type: custom, class: "{__name__}:Breaking" }}]\n'
    world = World(lambda _: answer({"data": [{"id": 9}]}), PIPELINE + transform)
    await world.add_user()
    await world.schedule()
    await world.run()
    assert world.lines() == []
    assert (await world.checkpoint()).last_error == "found a value that JSON does not have, allowed: what JSON has"


async def test_a_record_is_known_by_what_the_source_sent():
    """Its key is dropped from the output, and still nothing comes twice."""
    transform = "    transforms: [{ type: drop, fields: [id] }]\n"
    world = World(lambda _: answer({"data": [{"id": 1, "v": 1}, {"id": 2, "v": 1}]}), PIPELINE + transform)
    await world.add_user()
    for _ in range(2):
        await world.schedule()
        await world.run()
        world.later(hours=1)
    assert [(line["v"], "id" in line) for line in world.lines()] == [(1, False), (1, False)]

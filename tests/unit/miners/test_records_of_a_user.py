"""What is kept of a user's records from one run to the next, and what the output shows of it."""

import logging
from collections.abc import Iterator

import pytest

from processors.records import decompressed
from tests.fakes.scripted_source import answer
from tests.fakes.world import PIPELINE, World

SECRET = "ann@example.com"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
OPTIONS = """
    ignore_changes: [views]
    deleted: { path: gone }
    transforms:
      - { type: rename, fields: { who.mail: mail } }
      - { type: redact, fields: [mail] }
      - { type: drop, fields: [who, views, gone] }
"""


def post(number: int, **changes: object) -> dict[str, object]:
    return {"id": number, "views": 1, "who": {"mail": SECRET}, **changes}


async def begun(*runs: list[dict[str, object]]) -> World:
    """A run of one page has begun; each run sees the next of these lists of records."""
    left = iter(runs)
    world = World(lambda _: answer({"data": next(left)}), PIPELINE.rstrip() + OPTIONS)
    await world.add_user()
    await world.schedule()
    return world


async def mined(*runs: list[dict[str, object]]) -> World:
    """One run after the other."""
    world = await begun(*runs)
    for _ in runs:
        await world.run()
        world.later(hours=1)
        await world.schedule()
    return world


async def test_from_run_to_run_only_what_counts_is_kept():
    """A view more is no change; a deletion is one, once; so is the return."""
    gone = post(1, gone=True)
    world = await mined([post(1), post(2)], [post(1, views=2), post(2)], [gone], [gone, post(2)], [post(1)])
    assert [(line["id"], line.get("_deleted", False)) for line in world.lines()] == [
        (1, False),
        (2, False),
        (1, True),
        (1, False),
    ]


async def test_what_is_redacted_is_in_no_page_and_no_output_and_no_log(caplog: pytest.LogCaptureFixture):
    """Committed pages are looked into before they are delivered, however they are packed."""
    with caplog.at_level(logging.DEBUG):
        world = await begun([post(1), post(2)])
        assert (await world.mine_page()).facts["records"] == 2
        committed = list(values_stored(world))
        await world.run()
    assert any(b'"mail":"***"' in value for value in committed)
    assert [line["mail"] for line in world.lines()] == ["***", "***"]
    assert "who" not in world.lines()[0]
    written = [*committed, *values_stored(world), *world.output.objects.values(), caplog.text.encode()]
    assert not [value for value in written if SECRET.encode() in value]


def values_stored(world: World) -> Iterator[bytes]:
    """Every value of every row; packed ones unpacked."""
    for row in (row for table in world.tables for row in table.rows.values()):
        for value in row.values.values():
            is_packed = isinstance(value, bytes) and value.startswith(ZSTD_MAGIC)
            yield decompressed(value) if is_packed else str(value).encode()

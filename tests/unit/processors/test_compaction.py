"""Small objects become large ones, and at every moment each record counts once."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from processors.compaction import Folder, Wanted, batches, compact, compact_folder, folders_of
from shared.adapters.objects import Found
from shared.errors import OutputUnavailable
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import PIPELINE, World

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WANTED = Wanted(HOUR, bytes=100, fewest=2)
FOLDER = "social/posts/date=2026-11-22/"


def name_of(number: int, suffix: str = ".jsonl") -> str:
    return f"20261122T120000Z-0c666c357097342c-all-{number:06d}-{number:06d}{suffix}"


class Place(MemoryObjects):
    """With a clock of its own, and objects of ten records or so."""

    def __init__(self) -> None:
        self.time = NOW
        super().__init__(lambda: self.time)

    async def filled(self, count: int, folder: str = FOLDER) -> "Place":
        for number in range(count):
            await self.write_once(folder + name_of(number), b'{"id":%d}\n' % number)
        return self

    async def compact(self, wanted: Wanted = WANTED) -> Counter[str]:
        counts: Counter[str] = Counter()
        async for folder in folders_of(self):
            counts += await compact_folder(folder, self, wanted, self.time)
        return counts

    async def read_all(self) -> list[int]:
        """As a reader does: by the log."""
        names = [name async for folder in folders_of(self) for name in folder.counted()]
        return sorted(json.loads(line)["id"] for name in names for line in self.objects[name].splitlines())

    def later(self, span: timedelta = 2 * HOUR) -> "Place":
        self.time += span
        return self


async def test_old_objects_become_few_and_nothing_counts_twice():
    place = (await Place().filled(30)).later()
    assert await place.compact() == Counter(merged=30, objects=3)
    assert await place.read_all() == list(range(30))
    assert len([name async for folder in folders_of(place) for name in folder.counted()]) == 3


async def test_what_was_replaced_is_deleted_later():
    """Whoever has begun to read goes on."""
    place = (await Place().filled(30)).later()
    await place.compact()
    assert FOLDER + name_of(0) in place.objects
    assert (await place.later().compact())["swept"] == 30
    assert FOLDER + name_of(0) not in place.objects
    assert await place.read_all() == list(range(30))


async def test_young_objects_are_left_alone():
    place = (await Place().filled(30)).later(HOUR / 2)
    assert await place.compact() == Counter()


async def test_folders_do_not_mix():
    place = Place()
    for folder in ("social/posts/date=2026-11-21/", FOLDER, "social/likes/date=2026-11-22/", ""):
        await place.filled(20, folder)
    await place.later().compact()
    assert await place.read_all() == sorted([*range(20)] * 4)
    merged = [name for name in place.objects if "merged-" in name and "/_merged/" not in name]
    assert {name.rpartition("merged-")[0] for name in merged} == {
        "social/posts/date=2026-11-21/",
        FOLDER,
        "social/likes/date=2026-11-22/",
        "",
    }


async def test_what_somebody_else_put_there_is_left_alone():
    place = (await Place().filled(20)).later()
    others = {FOLDER + "notes.jsonl": b"x", FOLDER + "merged-by-hand.jsonl": b"y", "social/posts/_schema/a.json": b"{}"}
    for name, data in others.items():
        await place.write_once(name, data)
    await place.later().compact()
    await place.later().compact()
    assert others.items() <= place.objects.items()


async def test_an_object_that_a_late_delivery_writes_again_does_not_count():
    place = (await Place().filled(30)).later()
    await place.compact()
    await place.later().compact()
    await place.filled(3)
    assert await place.read_all() == list(range(30))
    assert (await place.compact())["swept"] == 3


@pytest.mark.parametrize("writes", range(6))
async def test_cut_off_between_any_two_writes_every_record_counts_once(writes: int):
    place = (await Place().filled(30)).later()
    left = [writes]
    real = place.write_once

    async def write_once(name: str, data: bytes) -> None:
        if not left[0]:
            raise OutputUnavailable("cut off")
        left[0] -= 1
        await real(name, data)

    place.write_once = write_once  # type: ignore[method-assign]  # as a disk that fills up
    with pytest.raises(OutputUnavailable):
        await place.compact()
    place.write_once = real  # type: ignore[method-assign]  # and has room again
    assert await place.read_all() == list(range(30))
    await place.later().compact()
    await place.later().compact()
    assert await place.read_all() == list(range(30))
    assert len(place.objects) == 6


async def test_of_two_that_merge_the_same_one_leaves_off():
    place = (await Place().filled(30)).later()
    (folder,) = [folder async for folder in folders_of(place)]
    (same,) = [folder async for folder in folders_of(place)]
    assert (await compact_folder(folder, place, WANTED, place.time))["objects"] == 3
    assert await compact_folder(same, place, WANTED, place.time) == Counter()
    assert await place.read_all() == list(range(30))


async def test_of_two_that_merge_otherwise_what_is_not_logged_is_swept():
    place = (await Place().filled(30)).later()
    (folder,) = [folder async for folder in folders_of(place)]
    other = Wanted(HOUR, bytes=200, fewest=2)
    await place.compact()
    assert await compact_folder(folder, place, other, place.time) == Counter()
    assert await place.read_all() == list(range(30))
    await place.later().compact()
    assert await place.read_all() == list(range(30))
    assert len([name for name in place.objects if "/merged-" in name]) == 3


def test_kinds_are_kept_apart_and_few_are_left():
    def objects(suffix: str, count: int) -> dict[str, Found]:
        return {name_of(each, suffix): Found(FOLDER + name_of(each, suffix), 10, NOW) for each in range(count)}

    folder = Folder(FOLDER, objects(".jsonl", 9) | objects(".jsonl.gz", 10) | objects(".parquet", 3))
    found = batches(folder, Wanted(HOUR, bytes=1000, fewest=8), NOW + 2 * HOUR)
    assert [len(batch) for batch in found] == [9, 10]
    assert all(len({each.name.partition(".")[2] for each in batch}) == 1 for batch in found)


async def test_large_objects_are_left_as_they_are():
    place = await Place().filled(4)
    large = b'{"id":99}\n' * 6
    await place.write_once(FOLDER + name_of(9), large)
    await place.later().compact()
    assert FOLDER + name_of(9) in [name async for folder in folders_of(place) for name in folder.counted()]


MERGING = PIPELINE + "outputs: [{ type: json_lines, merge_after: 1h, batch_records: 1 }]\n"


async def test_outputs_that_want_it_are_merged_by_the_function():
    records = [{"id": number} for number in range(40)]
    world = World(pages_of(records), MERGING)
    world.output = world.services.output  # type: ignore[assignment]  # the same one
    await world.add_user()
    await world.schedule()
    await world.run()
    world.output.written_at = dict.fromkeys(world.output.objects, world.clock.now())
    assert (await compact(world.services)).facts == {}
    world.later(hours=2)
    assert (await compact(world.services)).facts == {"merged": 20, "objects": 1}


async def test_an_output_that_is_away_is_told_and_stops_nobody():
    world = World(pages_of([]), MERGING)
    world.output.away = True
    assert (await compact(world.services)).facts == {"failed": 1}


async def test_outputs_that_do_not_want_it_are_not_looked_at():
    world = World(pages_of([]), PIPELINE)
    world.output.away = True
    assert (await compact(world.services)).facts == {}

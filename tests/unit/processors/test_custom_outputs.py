"""A class of somebody's as an output: it gets everything, is come back for, and tells nothing of what it was given."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.checkpoint import RunState
from shared.errors import InvalidPipeline, OutputUnavailable, StorageUnavailable
from shared.pipeline.loader import load_text
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import KEY, PIPELINE, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(10)]
IDS = list(range(10))


class Shelf:
    """Keeps batches where its options say, in memory; `fails` says how often, and with what."""

    shelves: dict[str, dict[str, bytes]] = {}  # noqa: RUF012 - what a place outside would hold, shared on purpose
    fails: list[Exception] = []  # noqa: RUF012 - as above
    calls: list[str] = []  # noqa: RUF012 - as above

    def __init__(self, options: dict[str, Any]):
        self._name = options["name"]

    async def write(self, name: str, lines: bytes) -> None:
        self.calls.append(name)
        if self.fails:
            raise self.fails.pop()
        kept = self.shelves.setdefault(self._name, {})
        assert kept.setdefault(name, lines) == lines


class Hanging:
    def __init__(self, options: dict[str, Any]): ...

    async def write(self, name: str, lines: bytes) -> None:
        await asyncio.Event().wait()


class Wordless:
    def __init__(self, options: dict[str, Any]): ...


OUTPUT = f'{{ type: custom, class: "{__name__}:Shelf", options: {{ name: first }} }}'
BESIDE = PIPELINE + f"outputs: [{{ type: json_lines }}, {OUTPUT}]\n"


@pytest.fixture(autouse=True)
def empty_shelves() -> None:
    Shelf.shelves.clear()
    Shelf.fails.clear()
    Shelf.calls.clear()


async def mined(**settings: str) -> World:
    world = World(pages_of(RECORDS), BESIDE, settings)
    await world.add_user()
    await world.schedule()
    return world


def ids() -> list[int]:
    kept = Shelf.shelves.get("first", {})
    return [json.loads(line)["id"] for name in sorted(kept) for line in kept[name].splitlines()]


async def test_it_gets_every_record_beside_the_other_outputs():
    world = await mined(DELIVERY_RECORDS="4")
    await world.run()
    assert ids() == world.ids() == IDS
    run = (await world.checkpoint()).run
    assert sorted(Shelf.shelves["first"])[0] == f"social/posts/{run}-all-000000-000001"
    assert not await world.services.checkpoints.has_pages(KEY)


@pytest.mark.parametrize("failure", [ValueError("canary-1"), TimeoutError(), OutputUnavailable("the shelf is full")])
async def test_whatever_it_raises_delivery_comes_back_for_it(failure: Exception):
    """The other output has everything meanwhile; of a strange error only the kind is told."""
    Shelf.fails = [failure, failure, failure]
    world = await mined()
    await world.run()
    assert ids() == world.ids() == IDS
    assert len(Shelf.calls) == 4
    told = {outcome.facts["error"] for queue, outcome in world.outcomes if outcome.what == "postponed"}
    assert told == {
        str(failure) if isinstance(failure, OutputUnavailable) else f"{__name__}:Shelf: {type(failure).__name__}"
    }
    assert (await world.checkpoint()).state is RunState.DONE


@pytest.mark.parametrize("cut_off", range(8))
@pytest.mark.parametrize("answered", [True, False])
async def test_cut_off_anywhere_it_gets_the_same_lines_under_the_same_name_again(cut_off: int, answered: bool):
    world = await mined(DELIVERY_RECORDS="4")
    for _ in range(5):
        await world.mine_page()
    world.streams.cut_off(writes=cut_off, answered=answered)
    for _ in range(4):
        if (message := world.broker.receive("deliver")) is not None:
            try:
                await world.handle(message)
            except StorageUnavailable:
                break
    world.streams.mend()
    await world.run()
    assert ids() == world.ids() == IDS


async def test_a_call_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("processors.output_sending.LONGEST_WRITE", 0.01)
    world = World(pages_of(RECORDS), BESIDE.replace(":Shelf", ":Hanging"))
    await world.add_user()
    await world.schedule()
    while (message := world.broker.receive()) is not None:
        await world.handle(message)
    (postponed,) = [outcome for _, outcome in world.outcomes if outcome.what == "postponed"]
    assert postponed.facts["error"] == f"{__name__}:Hanging: TimeoutError"
    assert world.ids() == IDS


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (
            f'[{{ type: custom, class: "{__name__}:Wordless" }}]',
            f"outputs[0].class: found {__name__}:Wordless without write",
        ),
        (
            f"[{OUTPUT}, {OUTPUT}]",
            f"outputs: found two outputs 'custom {__name__}:Shelf', allowed: one of a type for one",
        ),
        (
            f'[{{ type: custom, class: "{__name__}:Shelf" }}]',
            f"outputs[0].options: found what {__name__}:Shelf refuses: Key",
        ),
    ],
)
def test_a_class_that_can_not_be_an_output_is_refused(outputs: str, said: str):
    with pytest.raises(InvalidPipeline) as refusal:
        load_text(PIPELINE + f"outputs: {outputs}\n", "social.yaml")
    assert f": {said}" in str(refusal.value)


async def test_the_example_of_the_docs_keeps_each_record_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Its first two batches come again, as after a delivery that was cut off."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "examples" / "weather")
    file = tmp_path / "records.db"
    outputs = f'outputs: [{{ type: custom, class: "weather:SqliteRows", options: {{ file: "{file}" }} }}]\n'
    world = World(pages_of(RECORDS), PIPELINE + outputs, {"DELIVERY_RECORDS": "4"})
    await world.add_user()
    await world.schedule()
    for _ in range(5):
        await world.mine_page()
    world.streams.cut_off(writes=1, answered=True)
    while (message := world.broker.receive("deliver")) is not None:
        try:
            await world.handle(message)
        except StorageUnavailable:
            break
    world.streams.mend()
    await world.run()
    with closing(sqlite3.connect(file)) as database:
        kept = [json.loads(line)["id"] for (line,) in database.execute("SELECT record FROM records")]
    assert sorted(kept) == IDS

import json
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from devtools.cli import connection
from devtools.cli.app import app
from devtools.cli.run_details import mark
from devtools.cli.runs import BY_HAND, MOST_TRIES, Wanted, cancel_one, facts_of, resume_all, rows
from devtools.cli.status import standing
from shared.checkpoint import Checkpoint, RunState
from shared.errors import BadInput, Conflict, ErrorKind
from shared.messages import StreamKey
from shared.pipeline.responses import Response
from shared.services import Services
from tests.fakes.scripted_source import Call, answer, pages_of
from tests.fakes.world import KEY, World

RECORDS: list[dict[str, object]] = [{"id": number} for number in range(5)]
BEN = StreamKey("social", "posts", "ben")


STRANDS = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: { type: bearer, token: "{credentials.token}" }
streams:
  - name: posts
    path: /me/posts
    records: data
    primary_key: id
    paginator: { type: offset, total_path: total }
    parallel: { strategy: calculated_offsets, records_per_slice: 4, max_concurrent: 3 }
"""


def _counted(call: Call, broken: set[int]) -> Response:
    """20 records by their offsets, of which `broken` ones are refused."""
    first = int(call.query("offset"))
    if first in broken:
        return answer({}, 400)
    return answer({"data": [{"id": number} for number in range(first, min(first + 2, 20))], "total": 20})


class Refusing:
    """An API that refuses ann's second page until it is told otherwise."""

    def __init__(self) -> None:
        self.refuses = True
        self._pages = pages_of(RECORDS)

    def __call__(self, call: Call) -> Response:
        refused = self.refuses and call.query("after") and call.user == "ann"
        return answer({"error": {"message": "no such cursor"}}, 400) if refused else self._pages(call)


@pytest.fixture
async def world() -> World:
    """Ann's run is parked at its second page, Ben's is done."""
    built = World(Refusing())
    await built.add_user("ann")
    await built.add_user("ben")
    await built.schedule()
    await built.run()
    assert (await built.checkpoint()).state is RunState.PARKED
    assert (await built.checkpoint(BEN)).state is RunState.DONE
    return built


@pytest.fixture
def typed(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Types a command that connects to the fakes instead of to servers."""

    async def opened(*_: object) -> Services:
        return world.services

    monkeypatch.setattr(connection, "settings_of", lambda _: nullcontext({"SERVICE_BUS": "bus", "STORAGE": "storage"}))
    monkeypatch.setattr(connection, "open_services", opened)
    return lambda *words, answer="": CliRunner().invoke(app, ["runs", *words], input=answer)


async def test_the_list_holds_the_runs_that_are_wanted(world: World):
    async def users(wanted: Wanted) -> list[object]:
        return [row["user"] for row in await rows(wanted, 24, world.services)]

    assert await users(Wanted()) == ["ann", "ben"]
    assert await users(Wanted(user="ben")) == ["ben"]
    assert await users(Wanted(state=RunState.PARKED)) == ["ann"]
    assert await users(Wanted(pipeline="social", stream="posts")) == ["ann", "ben"]
    assert await users(Wanted(pipeline="other")) == []
    assert await users(Wanted(stream="comments")) == []


async def test_a_run_that_is_open_for_too_long_is_marked(world: World):
    """The time of its start counts, not that of its last page; runs that are not open are never marked."""
    await world.resume()
    world.later(hours=23, minutes=59)
    assert [row["overlong"] for row in await rows(Wanted(), 24, world.services)] == [False, False]
    world.later(minutes=2)
    assert [row["overlong"] for row in await rows(Wanted(), 24, world.services)] == [True, False]
    assert [row["overlong"] for row in await rows(Wanted(), 25, world.services)] == [False, False]
    assert [row["overlong"] for row in await rows(Wanted(), None, world.services)] == [True, False]
    streams, _, _ = await standing(world.services)
    assert [(each.stream, each.overlong) for each in streams] == [("posts", 1)]


async def test_a_run_is_shown_with_the_evidence_of_its_failure_and_without_its_cursor(world: World):
    (facts,) = await facts_of("social/posts/ann", 24, world.services)
    cursor = (await world.checkpoint()).cursor
    assert facts["state"] == "parked"
    assert facts["reason"] == facts["last_error_kind"] == "rejected"
    assert "400" in str(facts["last_error"])
    assert (facts["pages"], facts["records"], facts["delivered_records"], facts["waiting_pages"]) == (1, 2, 2, 0)
    assert cursor is not None
    assert facts["cursor_length"] == len(cursor)
    assert cursor not in facts.values()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("2026-11-22T12:00:30.000000Z", "2026-11-22T12:00:30.000000Z"),
        ("1795417608620", "1795417608620"),
        ("-12.5", "-12.5"),
        ('"1795417608620"', "15 characters"),
        ("eyJsYXN0", "8 characters"),
    ],
)
def test_a_mark_is_shown_if_it_is_a_time_or_a_number(text: str, shown: str):
    """An opaque one may carry a token, as a cursor may."""
    assert mark(text) == shown


async def test_a_run_that_ended_at_its_first_failure_is_not_cancelled(world: World):
    read = await world.checkpoint()
    failed = read.ended_as_failed(world.clock.now(), ErrorKind.TEMPORARY, "status 500")
    await world.services.checkpoints.replace(failed)
    with pytest.raises(BadInput, match="found it ended meanwhile"):
        await cancel_one(read, world.services)


async def test_all_pages_that_wait_for_delivery_are_counted():
    """More of them than one plan of delivery holds."""
    world = World(pages_of([{"id": number} for number in range(400)]))
    await world.add_user()
    await world.schedule()
    while (await world.services.checkpoints.read(KEY) or await _begun(world)).is_open:
        await world.mine_page()
    (facts,) = await facts_of(str(KEY), 24, world.services)
    assert (facts["pages"], facts["waiting_pages"], facts["waiting_records"]) == (200, 200, 400)
    assert facts["waiting_bytes"] == facts["bytes"] != 0
    assert facts["delivered_records"] == 0


async def _begun(world: World) -> Checkpoint:
    await world.mine_page()
    return await world.checkpoint()


async def test_a_cancelled_run_ends_and_what_it_committed_is_delivered(world: World):
    world.source.respond.refuses = False
    await world.resume()
    await world.mine_page()
    await cancel_one(await world.checkpoint(), world.services)
    await world.run()
    ended = await world.checkpoint()
    assert (ended.state, ended.reason, ended.next_seq) == (RunState.CANCELLED, BY_HAND, 2)
    assert [line["id"] for line in world.lines() if line["_user"] == "ann"] == [0, 1, 2, 3]


async def test_a_run_that_is_busy_is_cancelled_all_the_same(world: World):
    """It commits a page between being read and being written."""
    world.source.respond.refuses = False
    read = await world.resume()
    await world.mine_page()
    assert (await world.checkpoint()).next_seq == read.next_seq + 1
    assert (await cancel_one(read, world.services)).state is RunState.CANCELLED


async def test_a_run_that_ends_meanwhile_is_told_not_cancelled(world: World):
    world.source.respond.refuses = False
    read = await world.resume()
    await world.run()
    with pytest.raises(BadInput, match="found it ended meanwhile"):
        await cancel_one(read, world.services)
    assert (await world.checkpoint()).state is RunState.DONE


async def test_a_run_that_never_stands_still_is_given_up(world: World):
    """Each time it has been read it changes before it can be written."""
    read = await world.resume()

    async def change() -> None:
        current = await world.services.checkpoints.read(KEY)
        assert current is not None
        await world.services.checkpoints.replace(current.postponed(world.clock.now(), world.clock.now()))
        world.streams.meanwhile = change

    await change()
    with pytest.raises(Conflict, match=f"changed {MOST_TRIES} times"):
        await cancel_one(read, world.services)


def test_the_list_is_a_table_or_json_lines(typed: Callable[..., object]):
    shown = typed("list", "--state", "parked")
    assert "social/posts/ann" in shown.stdout
    assert "social/posts/ben" not in shown.stdout
    lines = [json.loads(line) for line in typed("list", "--json").stdout.splitlines()]
    assert [(line["user"], line["state"]) for line in lines] == [("ann", "parked"), ("ben", "done")]


def test_a_run_is_shown_as_text_or_as_json(typed: Callable[..., object]):
    assert "400" in typed("show", "social/posts/ann").stdout
    (line,) = typed("show", "social/posts/ben", "--json").stdout.splitlines()
    assert json.loads(line)["delivered_records"] == 5


@pytest.mark.parametrize("answer", ["n\n", ""], ids=["no", "nobody"])
def test_nothing_is_cancelled_without_a_yes(typed: Callable[..., object], answer: str):
    """What would be cancelled is said first. Nobody to ask counts as a no."""
    refused = typed("cancel", "social/posts/ann", answer=answer)
    assert isinstance(refused.exception, BadInput)
    assert "social/posts/ann: parked, 1 pages, 2 records" in refused.stderr
    assert refused.stdout == ""
    assert '"state": "parked"' in typed("list", "--user", "ann", "--json").stdout


@pytest.mark.parametrize(("options", "answer"), [([], "y\n"), (["--yes"], "")], ids=["asked", "--yes"])
def test_a_run_is_cancelled_with_a_yes(typed: Callable[..., object], options: list[str], answer: str):
    assert typed("cancel", "social/posts/ann", *options, answer=answer).stdout == "cancelled 1\n"
    assert '"state": "cancelled"' in typed("list", "--user", "ann", "--json").stdout


def test_a_parked_run_is_resumed(typed: Callable[..., object]):
    assert typed("resume", "social/posts/ann").stdout == "resumed 1\n"
    assert '"state": "running"' in typed("list", "--user", "ann", "--json").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "ann"], "run of ann: found no two slashes, allowed: PIPELINE/STREAM/USER"),
        (["show", "social/posts/cleo"], "run of social/posts/cleo: found none, allowed: PIPELINE/STREAM/USER"),
        (
            ["resume", "social/posts/ben"],
            "run of social/posts/ben: found it done, allowed: a run that is parked, partial",
        ),
        (["cancel", "--yes", "social/posts/ben"], "found it done, allowed: a run that is parked, running"),
        (["cancel", "--yes", "social/posts/ann", "social/posts/cleo"], "run of social/posts/cleo: found none"),
    ],
    ids=" ".join,
)
def test_a_name_that_does_not_fit_is_refused_and_nothing_is_changed(
    typed: Callable[..., object], words: list[str], message: str
):
    refused = typed(*words)
    assert isinstance(refused.exception, BadInput)
    assert message in str(refused.exception)
    assert '"state": "parked"' in typed("list", "--user", "ann", "--json").stdout


async def test_the_strands_of_a_run_are_shown_behind_it_and_those_that_are_parked_go_on():
    """Each with its own failure; delivery is that of the whole run."""
    broken = {8}
    world = World(lambda call: _counted(call, broken), STRANDS)
    await world.add_user()
    await world.schedule()
    await world.run()
    run, *strands = await facts_of("social/posts/ann", 24, world.services)
    assert (run["slice"], run["state"], run["strands"], run["delivered_records"]) == ("all", "parked", 3, 16)
    assert len(strands) == 3
    (parked,) = [strand for strand in strands if strand["state"] == "parked"]
    assert "400" in str(parked["last_error"])
    assert "delivered_records" not in parked
    broken.clear()
    await resume_all(["social/posts/ann"], world.services)
    await world.run()
    run, *strands = await facts_of("social/posts/ann", 24, world.services)
    assert (run["state"], run["delivered_records"]) == ("done", 20)
    assert {strand["state"] for strand in strands} == {"done"}


async def test_a_partial_run_goes_on_with_what_it_left_out():
    broken = {8}
    world = World(lambda call: _counted(call, broken), STRANDS + "    on_error: { mode: continue }\n")
    await world.add_user()
    await world.schedule()
    await world.run()
    (facts, *_) = await facts_of("social/posts/ann", 24, world.services)
    assert (facts["state"], facts["slices_left_out"]) == ("partial", 1)
    broken.clear()
    await resume_all(["social/posts/ann"], world.services)
    await world.run()
    assert (await world.checkpoint()).state is RunState.DONE
    assert sorted(map(str, world.ids())) == sorted(map(str, range(20)))


async def test_a_user_may_have_slashes_in_the_name():
    world = World(pages_of(RECORDS))
    await world.add_user("a/b/c")
    await world.schedule()
    await world.run()
    (facts,) = await facts_of("social/posts/a/b/c", 24, world.services)
    assert facts["user"] == "a/b/c"

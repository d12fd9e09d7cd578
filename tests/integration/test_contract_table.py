"""What a Table promises, on the fakes and on Azurite."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from azure.data.tables.aio import TableServiceClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters import keys
from shared.adapters.table_account import Tables
from shared.adapters.tables import Delete, Insert, Replace, Row, Table, Value
from shared.errors import AlreadyExists, Conflict, TooLarge
from tests.fakes.memory_tables import MemoryTable
from tests.simulation.history import WatchedTable
from tests.simulation.processes import FineWeather, Port, Process

pytestmark = pytest.mark.stand_ins

NOW = datetime(2026, 11, 22, 12, 0, 30, 123456, tzinfo=UTC)


@pytest.fixture(params=["memory", "simulated", "azurite", "azurite by the SDK"])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    """An empty table of its own; the simulated one is seen through the port of a process, as handlers see it."""
    if not request.param.startswith("azurite"):
        watched = WatchedTable(lambda: 0.0)
        yield MemoryTable() if request.param == "memory" else Port(watched, "table", Process("p"), FineWeather())
        return
    connection = request.getfixturevalue("storage")
    if request.param == "azurite":
        opened = Tables.from_connection(connection)
    else:
        opened = Tables(TableServiceClient.from_connection_string(connection))
    async with opened as tables:
        yield await tables.open(f"contract{secrets.token_hex(8)}")


def row(key: str = "k", partition: str = "p", **values: Value) -> Row:
    return Row(partition, key, values)


async def stored(table: Table, row: Row) -> Row:
    found = await table.get(row.partition, row.key)
    assert found is not None
    return found


async def everything(table: Table) -> dict[str, dict[str, Value]]:
    return {each.key: each.values async for each in table.scan()}


VALUES: dict[str, Value] = {
    "text": "plain",
    "empty": "",
    "odd": "quotes ' \" back\\slash / # ? % \n\t é 漢 😀 \u2028",
    "nul": "a\x00b",
    "small": -(2**31),
    "large": 2**31,
    "int64": 2**63 - 1,
    "int64_low": -(2**63),
    "beyond_float": 2**53 + 1,
    "zero": 0,
    "float": 0.1,
    "yes": True,
    "no": False,
    "bytes": bytes(range(256)),
    "no_bytes": b"",
    "moment": NOW,
    "whole_second": NOW.replace(microsecond=0),
    "looks_like_a_moment": "2026-11-22T12:00:30Z",
    "looks_like_a_number": "007",
}


@pytest.mark.parametrize("name", sorted(VALUES))
async def test_every_value_comes_back_as_it_was_with_its_type(table: Table, name: str):
    value = VALUES[name]
    await table.insert(row(v=value))
    found = (await stored(table, row())).values["v"]
    assert found == value
    assert isinstance(found, type(value))


async def test_a_moment_of_another_zone_is_the_same_moment(table: Table):
    await table.insert(row(v=NOW.astimezone(timezone(timedelta(hours=5)))))
    assert (await stored(table, row())).values["v"] == NOW


async def test_a_moment_that_was_read_can_be_reckoned_with_and_written_again(table: Table):
    """What storage hands out is not quite a datetime."""
    await table.insert(row(v=NOW))
    found = await stored(table, row())
    moment = found.values["v"]
    assert isinstance(moment, datetime)
    await table.replace(replace(found, values={"v": moment + timedelta(minutes=5), "w": moment}))
    assert (await stored(table, row())).values == {"v": NOW + timedelta(minutes=5), "w": NOW}


async def test_what_is_not_there_is_nothing(table: Table):
    assert await table.get("p", "k") is None
    assert await table.range("p", "a", "z", 10) == []
    assert await everything(table) == {}


async def test_an_insert_finds_the_name_taken(table: Table):
    await table.insert(row(v=1))
    with pytest.raises(AlreadyExists):
        await table.insert(row(v=2))
    assert (await stored(table, row())).values == {"v": 1}


async def test_a_replace_needs_the_version_that_was_read(table: Table):
    first = await table.insert(row(v=1))
    second = await table.replace(replace(row(v=2), etag=first))
    with pytest.raises(Conflict):
        await table.replace(replace(row(v=3), etag=first))
    found = await stored(table, row())
    assert (found.values, found.etag) == ({"v": 2}, second)
    assert first != second


async def test_a_replace_of_what_is_gone_or_was_never_read_is_a_conflict(table: Table):
    etag = await table.insert(row(v=1))
    await table.delete(row())
    with pytest.raises(Conflict):
        await table.replace(replace(row(v=2), etag=etag))
    with pytest.raises(Conflict):
        await table.replace(row(v=2))
    assert await everything(table) == {}


async def test_a_replace_leaves_nothing_of_the_old_row(table: Table):
    etag = await table.insert(row(old=1, both=1))
    await table.replace(replace(row(both=2), etag=etag))
    assert (await stored(table, row())).values == {"both": 2}


async def test_put_takes_the_place_of_whatever_is_there(table: Table):
    await table.put(row(old=1))
    etag = await table.put(row(new=2))
    found = await stored(table, row())
    assert (found.values, found.etag) == ({"new": 2}, etag)


async def test_a_delete_with_a_version_needs_that_version(table: Table):
    old = await table.insert(row(v=1))
    new = await table.put(row(v=2))
    with pytest.raises(Conflict):
        await table.delete(replace(row(), etag=old))
    await table.delete(replace(row(), etag=new))
    await table.delete(replace(row(), etag=new))
    await table.delete(row())
    assert await everything(table) == {}


async def test_of_many_writers_with_one_version_exactly_one_wins(table: Table):
    etag = await table.insert(row(v=-1))
    results = await asyncio.gather(
        *(table.replace(replace(row(v=number), etag=etag)) for number in range(8)), return_exceptions=True
    )
    won = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert len(won) == 1
    assert all(isinstance(result, Conflict) for number, result in enumerate(results) if number not in won)
    assert (await stored(table, row())).values == {"v": won[0]}


async def test_of_many_inserts_exactly_one_wins(table: Table):
    results = await asyncio.gather(*(table.insert(row(v=number)) for number in range(8)), return_exceptions=True)
    assert sum(isinstance(result, AlreadyExists) for result in results) == 7
    assert sum(isinstance(result, str) for result in results) == 1


# --- transactions -------------------------------------------------------------------------------------------------


async def test_a_transaction_does_all_and_answers_with_the_new_versions(table: Table):
    etag = await table.insert(row("changed", v=1))
    await table.insert(row("gone"))
    etags = await table.transact(
        [Replace(replace(row("changed", v=2), etag=etag)), Insert(row("new", v=3)), Delete(row("gone"))]
    )
    assert await everything(table) == {"changed": {"v": 2}, "new": {"v": 3}}
    assert etags[0] == (await stored(table, row("changed"))).etag
    assert etags[1] == (await stored(table, row("new"))).etag


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (Insert(row("there")), AlreadyExists),
        (Replace(replace(row("there", v=9), etag="W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")), Conflict),
        (Replace(replace(row("absent"), etag="W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")), Conflict),
        (Replace(row("there", v=9)), Conflict),
        (Delete(row("absent")), Conflict),
    ],
)
@pytest.mark.parametrize("place", [0, 2])
async def test_a_transaction_of_which_a_part_fails_does_nothing(
    table: Table, failing: Insert | Replace | Delete, error: type[Exception], place: int
):
    """Wherever in it the failing part stands."""
    etag = await table.insert(row("there", v=1))
    await table.insert(row("other", v=1))
    assert etag
    operations: list[Insert | Replace | Delete] = [Insert(row("new", v=2)), Delete(row("other"))]
    operations.insert(place, failing)
    with pytest.raises(error):
        await table.transact(operations)
    assert await everything(table) == {"there": {"v": 1}, "other": {"v": 1}}


async def test_a_hundred_rows_fit_a_transaction_and_one_more_does_not(table: Table):
    inserts = [Insert(row(f"k{number:03d}")) for number in range(101)]
    with pytest.raises(TooLarge):
        await table.transact(inserts)
    assert await everything(table) == {}
    await table.transact(inserts[:100])
    assert len(await everything(table)) == 100


FULL = b"x" * 64 * 1024


@pytest.mark.parametrize("write", ["insert", "put", "transact"])
async def test_a_row_that_azure_would_refuse_is_refused(table: Table, write: str):
    """Azurite itself lets it pass."""
    large = row(**{f"d{number:02d}": FULL for number in range(17)})
    with pytest.raises(TooLarge):
        await (table.transact([Insert(large)]) if write == "transact" else getattr(table, write)(large))
    assert await everything(table) == {}


async def test_a_row_of_nearly_a_mebibyte_is_stored(table: Table):
    values: dict[str, Value] = {f"d{number:02d}": FULL for number in range(15)}
    await table.transact([Insert(Row("p", "k", values))])
    assert (await stored(table, row())).values == values


# --- looking through ----------------------------------------------------------------------------------------------


async def test_a_range_is_in_the_order_of_keys_and_without_its_end(table: Table):
    for name in ("page|b", "page|a", "page|c", "page}", "other", "seen|a"):
        await table.insert(row(name))
    await table.insert(row("page|a", partition="elsewhere"))
    found = await table.range("p", "page|", "page}", 10)
    assert [each.key for each in found] == ["page|a", "page|b", "page|c"]
    assert [each.key for each in await table.range("p", "page|b", "page|c", 10)] == ["page|b"]


async def test_a_range_ends_at_its_limit_and_begins_at_its_front(table: Table):
    for number in range(12):
        await table.insert(row(f"page|{number:08d}"))
    found = await table.range("p", "page|", "page}", 5)
    assert [each.key for each in found] == [f"page|{number:08d}" for number in range(5)]


async def test_a_range_reads_only_the_values_that_are_wanted(table: Table):
    await table.insert(row("page|a", wanted=1, other=b"much"))
    (found,) = await table.range("p", "page|", "page}", 10, ["wanted", "absent"])
    assert found.values == {"wanted": 1}
    (bare,) = await table.range("p", "page|", "page}", 10, [])
    assert (bare.key, bare.values) == ("page|a", {})


async def test_a_scan_takes_what_it_is_asked_for_in_order(table: Table):
    for partition in "cab":
        for name in ("user", "other"):
            await table.insert(row(name, partition))

    async def found(**wanted: str) -> list[tuple[str, str]]:
        return [(each.partition, each.key) async for each in table.scan(**wanted)]  # type: ignore[arg-type]  # as it is

    assert await found() == [(partition, name) for partition in "abc" for name in ("other", "user")]
    assert await found(key="user") == [("a", "user"), ("b", "user"), ("c", "user")]
    assert await found(key="user", after="a") == [("b", "user"), ("c", "user")]
    assert await found(partition="b") == [("b", "other"), ("b", "user")]


async def test_a_scan_goes_through_more_than_one_answer_of_the_server(table: Table):
    """A server answers with at most a thousand rows."""
    for start in range(0, 1200, 100):
        await table.transact([Insert(row(f"k{start + number:04d}")) for number in range(100)])
    assert [each.key async for each in table.scan()] == [f"k{number:04d}" for number in range(1200)]
    assert len(await table.range("p", "k", "l", 1100)) == 1100


ODD_IDS = [
    "ann", "Ann", "änn", "漢字", "😀", "a b", " ", "a/b", "a\\b", "a#b", "a?b", "a%2Fb", "a'b", "a''b", 'a"b', "a|b",
    "a=b", "~", "\x00", "\x1f", "\x7f", "\x85", "\n", "null", ".", "..", "$batch", "(", "a,b", "+", "&", "x" * 500,
]  # fmt: skip


async def test_any_user_id_makes_a_key_of_its_own(table: Table):
    """Also in one transaction, in queries and in deletes, where keys become part of URLs and filters."""
    for odd in ODD_IDS:
        key = keys.key("social", odd)
        await table.insert(Row(key, key, {"id": "nobody"}))
        await table.replace(replace(await stored(table, Row(key, key)), values={"id": odd}))
        await table.transact([Insert(Row(key, f"{key}|2", {"id": odd}))])
    for odd in ODD_IDS:
        key = keys.key("social", odd)
        found = await table.range(key, key, key + "}", 10)
        assert [each.values["id"] for each in found] == [odd, odd]
        assert [each.key async for each in table.scan(partition=key)] == [key, f"{key}|2"]
        await table.delete(Row(key, key))
        await table.transact([Delete(Row(key, f"{key}|2"))])
    assert await everything(table) == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200), data=st.binary(max_size=200), number=st.integers(-(2**63), 2**63 - 1))
async def test_any_text_bytes_and_number_come_back(table: Table, text: str, data: bytes, number: int):
    await table.put(row(text=text, data=data, number=number))
    assert (await stored(table, row())).values == {"text": text, "data": data, "number": number}

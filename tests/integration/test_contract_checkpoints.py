"""What our own tables promise, on a fake table and on Azurite: the house's values survive storage, and the commit is
one transaction."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from shared.adapters.admission_table import FRESH, AdmissionTable
from shared.adapters.checkpoint_table import LARGEST_ROW, CheckpointTable, CommittedPage
from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.delivery_table import MAX_PAGES, Delivery, DeliveryTable, Plan
from shared.adapters.parked_table import Parked, ParkedTable
from shared.adapters.schedule_table import Schedule, ScheduleTable
from shared.adapters.tables import Table
from shared.adapters.token_table import StoredTokens, TokenTable
from shared.adapters.user_table import UserTable
from shared.checkpoint import Checkpoint, RunState
from shared.errors import AlreadyExists, Conflict, Damaged, ErrorKind
from shared.messages import Priority, StreamKey
from shared.pipeline.access_tokens import LONGEST_TOKEN
from shared.pipeline.loop_guard import LoopGuard
from shared.users import User, UserState
from tests.fakes.memory_objects import MemoryObjects

pytestmark = pytest.mark.stand_ins

NOW = datetime(2026, 11, 22, 12, 0, 30, 123456, tzinfo=UTC)
KEY = StreamKey("social", "posts", "änn/1#?\\😀")
BEGUN = Checkpoint.begin(KEY, "20261122T120000Z-aa", NOW, Priority.HIGH, "index1")
FULL = replace(
    BEGUN,
    state=RunState.PARKED,
    next_seq=2**33,
    attempt=7,
    not_before=NOW + timedelta(minutes=5),
    cursor="c" * 16_384,
    guard=LoopGuard(3, 2, "abc"),
    failures=1,
    retries=2,
    replays=3,
    last_error_kind=ErrorKind.RATE_LIMITED,
    last_error="throttled: 漢 😀",
    reason="rate_limited",
    records=2**53 + 1,
    duplicates=5,
    size=2**40,
    staged_records=6,
    staged_bytes=2**32,
    staged_since=NOW,
    index_position=9,
    updated_at=NOW,
    ended_at=NOW + timedelta(days=1),
)


@pytest.fixture
def pages() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def checkpoints(table: Table, pages: MemoryObjects) -> CheckpointTable:
    return CheckpointTable(table, pages)


@pytest.fixture
def deliveries(table: Table, pages: MemoryObjects) -> DeliveryTable:
    return DeliveryTable(table, pages)


def committed(before: Checkpoint, cursor: str | None = "c", indexed: bool = True) -> Checkpoint:
    return before.committed(NOW, cursor, LoopGuard(), records=1, duplicates=0, size=10, indexed=indexed)


def page_of(before: Checkpoint, lines: bytes = b"lines") -> CommittedPage:
    return CommittedPage(before.run, before.slice, before.next_seq, NOW, 1, len(lines), lines)


@pytest.mark.parametrize("checkpoint", [BEGUN, FULL])
async def test_a_checkpoint_comes_back_as_it_was(checkpoints: CheckpointTable, checkpoint: Checkpoint):
    inserted = await checkpoints.insert(checkpoint)
    read = await checkpoints.read(KEY)
    assert read == checkpoint
    assert read is not None
    assert read.etag == inserted.etag
    written = await checkpoints.replace(read.postponed(NOW, NOW + timedelta(hours=1)))
    assert await checkpoints.read(KEY) == written
    assert await checkpoints.all() == [written]


async def test_there_is_one_checkpoint_per_stream_and_user(checkpoints: CheckpointTable):
    await checkpoints.insert(BEGUN)
    with pytest.raises(AlreadyExists):
        await checkpoints.insert(replace(BEGUN, run="other"))
    assert await checkpoints.read(StreamKey("social", "posts", "bob")) is None


async def test_page_index_and_checkpoint_become_true_together(checkpoints: CheckpointTable, deliveries: DeliveryTable):
    before = await checkpoints.insert(BEGUN)
    after = await checkpoints.commit(committed(before), [page_of(before)], b"seen")
    assert await checkpoints.read(KEY) == after
    (waiting,) = await deliveries.waiting(KEY)
    assert waiting == replace(page_of(before), lines=b"")
    assert await checkpoints.seen(after, 0) == [b"seen"]


async def test_a_commit_that_comes_second_leaves_nothing(checkpoints: CheckpointTable, deliveries: DeliveryTable):
    """Two workers fetched the same page, with other records each."""
    before = await checkpoints.insert(BEGUN)
    first = await checkpoints.commit(committed(before), [page_of(before, b"first")], b"1st")
    with pytest.raises(Conflict):
        await checkpoints.commit(committed(before), [page_of(before, b"second")], b"2nd")
    assert await checkpoints.read(KEY) == first
    assert await checkpoints.seen(first, 0) == [b"1st"]
    name = page_of(before).row_key
    (page,) = await deliveries.pages(KEY, Plan("name", name, name, 1, 1))
    assert page.lines == b"first"


async def test_of_many_commits_of_one_page_exactly_one_happens(checkpoints: CheckpointTable, deliveries: DeliveryTable):
    before = await checkpoints.insert(BEGUN)
    commits = (checkpoints.commit(committed(before), [page_of(before, str(n).encode())], b"") for n in range(6))
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert sum(isinstance(result, Checkpoint) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 5
    assert len(await deliveries.waiting(KEY)) == 1


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, LARGEST_ROW, LARGEST_ROW + 1, 2_000_000])
async def test_a_page_of_any_size_comes_back_byte_for_byte(
    checkpoints: CheckpointTable, deliveries: DeliveryTable, pages: MemoryObjects, size: int
):
    """In the row as long as it fits, in an object that the row names when it does not."""
    lines = bytes(number % 251 for number in range(size))
    before = await checkpoints.insert(BEGUN)
    await checkpoints.commit(committed(before), [page_of(before, lines)], b"s" * 200_000)
    name = page_of(before).row_key
    (page,) = await deliveries.pages(KEY, Plan("name", name, name, 1, 1))
    assert page.lines == lines
    assert len(pages.objects) == (1 if size > LARGEST_ROW else 0)


async def test_the_index_is_read_from_where_it_is_known_up_to_where_the_checkpoint_stands(checkpoints: CheckpointTable):
    checkpoint = await checkpoints.insert(BEGUN)
    for number in range(12):
        checkpoint = await checkpoints.commit(committed(checkpoint), [], f"row{number}".encode())
    assert await checkpoints.seen(checkpoint, 10) == [b"row10", b"row11"]
    assert len(await checkpoints.seen(checkpoint, 0)) == 12
    assert await checkpoints.seen(replace(checkpoint, index_position=2), 0) == [b"row0", b"row1"]


async def test_an_index_is_forgotten_whole_and_alone(checkpoints: CheckpointTable):
    checkpoint = await checkpoints.insert(BEGUN)
    for number in range(105):
        checkpoint = await checkpoints.commit(committed(checkpoint), [], f"row{number}".encode())
    other = await checkpoints.replace(replace(checkpoint, index="index10", index_position=0))
    other = await checkpoints.commit(committed(other), [], b"kept")
    await checkpoints.forget_index(KEY, "index1")
    assert await checkpoints.indexes(KEY) == ["index10"]
    assert await checkpoints.seen(other, 0) == [b"kept"]


async def test_rows_of_the_index_that_are_missing_are_noticed(checkpoints: CheckpointTable):
    """By whoever holds an old checkpoint as a conflict, by others as damage."""
    checkpoint = await checkpoints.insert(BEGUN)
    checkpoint = await checkpoints.commit(committed(checkpoint), [], b"row")
    await checkpoints.forget_index(KEY, "index1")
    with pytest.raises(Damaged):
        await checkpoints.seen(checkpoint, 0)
    await checkpoints.replace(replace(checkpoint, index="index2", index_position=0))
    with pytest.raises(Conflict):
        await checkpoints.seen(checkpoint, 0)


async def test_an_index_written_beside_becomes_true_with_the_checkpoint_that_names_it(checkpoints: CheckpointTable):
    """Rows as large as they get."""
    checkpoint = await checkpoints.insert(BEGUN)
    checkpoint = await checkpoints.commit(committed(checkpoint), [], b"row")
    rows = [bytes([number]) * LARGEST_ROW for number in range(3)]
    folded = replace(checkpoint, index="index1.f", index_position=len(rows))
    await checkpoints.write_index(folded, rows)
    assert set(await checkpoints.indexes(KEY)) == {"index1", "index1.f"}
    assert await checkpoints.seen(checkpoint, 0) == [b"row"]
    assert await checkpoints.seen(await checkpoints.replace(folded), 0) == rows


async def test_pages_wait_in_their_order_until_they_are_marked_delivered(
    checkpoints: CheckpointTable, deliveries: DeliveryTable
):
    checkpoint = await checkpoints.insert(BEGUN)
    for _ in range(12):
        checkpoint = await checkpoints.commit(committed(checkpoint), [page_of(checkpoint)], b"")
    waiting = await deliveries.waiting(KEY)
    assert [page.seq for page in waiting] == list(range(12))
    plan = Plan("name", waiting[0].row_key, waiting[9].row_key, 10, 10)
    planned = await deliveries.write((await deliveries.read(KEY)).planned(plan))
    assert await deliveries.read(KEY) == planned
    pages = await deliveries.pages(KEY, plan)
    done = await deliveries.mark_delivered(planned, pages)
    assert (done.plan, done.pages, done.records, done.objects) == (None, 10, 10, 1)
    assert [page.seq for page in await deliveries.waiting(KEY)] == [10, 11]
    with pytest.raises(Conflict):
        await deliveries.mark_delivered(planned, pages)
    with pytest.raises(Conflict):
        await deliveries.pages(KEY, plan)
    assert await checkpoints.has_pages(KEY)


async def test_when_delivery_comes_back_for_a_batch_is_remembered(deliveries: DeliveryTable):
    written = await deliveries.write(Delivery(KEY).held(NOW + timedelta(minutes=5)))
    assert await deliveries.read(KEY) == written
    assert (written.attempt, written.not_before) == (1, None)


async def test_of_two_first_plans_one_is_believed(deliveries: DeliveryTable):
    plan = Plan("name", "a", "b", 1, 1)
    await deliveries.write(Delivery(KEY).planned(plan))
    with pytest.raises(Conflict):
        await deliveries.write(Delivery(KEY).planned(replace(plan, name="other")))
    failed = (await deliveries.read(KEY)).failed(NOW, ErrorKind.TEMPORARY, "the output is away")
    assert await deliveries.write(failed) == await deliveries.read(KEY) == failed
    assert await deliveries.all() == [failed]


async def test_removing_a_user_removes_everything_of_the_stream(checkpoints: CheckpointTable, table: Table):
    before = await checkpoints.insert(BEGUN)
    await checkpoints.commit(committed(before), [page_of(before)], b"seen")
    bob = await checkpoints.insert(replace(BEGUN, key=StreamKey("social", "posts", "bob")))
    await checkpoints.remove(KEY)
    assert await checkpoints.read(KEY) is None
    assert await checkpoints.all() == [bob]
    assert len([each async for each in table.scan()]) == 1


async def test_a_user_comes_back_as_they_were_and_no_credential_is_readable(table: Table):
    users = UserTable(table, CredentialCipher(Fernet.generate_key().decode()))
    user = User(
        KEY.user,
        {"token": "canary-token", "ключ": "canary-é"},
        {"region": "eu", "count": 3, "flag": True, "text": "漢"},
        UserState.PAUSED,
        NOW,
        frozenset({"social", "mail"}),
    )
    await users.put(user)
    read = await users.get(KEY.user)
    assert read == user
    assert "canary" not in str([row async for row in table.scan()])
    assert [each async for each in users.all()] == [user]


async def test_a_user_who_was_changed_since_is_not_overwritten_and_a_new_credential_is(table: Table):
    users = UserTable(table, CredentialCipher(Fernet.generate_key().decode()))
    await users.put(User("ann", {"token": "old"}))
    stale = await users.get("ann")
    assert stale is not None
    await users.put(User("ann", {"token": "new"}))
    with pytest.raises(Conflict):
        await users.change(stale.with_rejection("social"))
    await users.remove("ann")
    with pytest.raises(Conflict):
        await users.change(stale.with_rejection("social"))
    await users.remove("ann")
    assert await users.get("ann") is None


async def test_users_are_gone_through_from_any_of_them_on(table: Table):
    users = UserTable(table, CredentialCipher(Fernet.generate_key().decode()))
    for name in ("ann", "Bob", "änn", "a/b", "c d"):
        await users.put(User(name, {"token": name}))
    order = [user.id async for user in users.all()]
    assert sorted(order) == sorted(["ann", "Bob", "änn", "a/b", "c d"])
    for place, name in enumerate(order):
        assert [user.id async for user in users.all(name)] == order[place + 1 :]


async def test_tokens_survive_and_are_not_readable_in_storage(table: Table):
    tokens = TokenTable(table, CredentialCipher(Fernet.generate_key().decode()))
    assert await tokens.read(KEY.user, "social") == StoredTokens(KEY.user, "social")
    fresh = await tokens.write(StoredTokens(KEY.user, "social").leased("canary-no-secret", NOW))
    assert await tokens.read(KEY.user, "social") == fresh
    renewed = await tokens.write(fresh.renewed("seed-canary", "a" * LONGEST_TOKEN, '"' * LONGEST_TOKEN, NOW))
    assert await tokens.read(KEY.user, "social") == renewed
    assert (renewed.generation, renewed.lease_owner, renewed.leased_until) == (1, "", None)
    stored = str([row async for row in table.scan()])
    assert "seed-canary" not in stored
    assert "aaaaaa" not in stored


async def test_of_two_who_write_tokens_one_is_first(table: Table):
    tokens = TokenTable(table, CredentialCipher(Fernet.generate_key().decode()))
    nobodys = StoredTokens("ann", "social")
    first = await tokens.write(nobodys.leased("one", NOW))
    with pytest.raises(Conflict):
        await tokens.write(nobodys.leased("other", NOW))
    await tokens.write(first.leased("one", NOW + timedelta(seconds=1)))
    with pytest.raises(Conflict):
        await tokens.write(first.renewed("s", "a", "r", NOW))


async def test_a_users_tokens_are_forgotten_for_every_pipeline_and_nobody_elses(table: Table):
    tokens = TokenTable(table, CredentialCipher(Fernet.generate_key().decode()))
    kept = [await tokens.write(StoredTokens(user, "social").leased("x", NOW)) for user in ("ann2", "Ann")]
    for pipeline in ("social", "mail"):
        await tokens.write(StoredTokens("ann", pipeline).leased("x", NOW))
    await tokens.forget("ann")
    await tokens.forget("ann")
    assert [await tokens.read("ann", pipeline) for pipeline in ("social", "mail")] == [
        StoredTokens("ann", "social"),
        StoredTokens("ann", "mail"),
    ]
    assert [await tokens.read(each.user, "social") for each in kept] == kept


async def test_tokens_that_no_key_opens_say_so(table: Table):
    tokens, others = (TokenTable(table, CredentialCipher(Fernet.generate_key().decode())) for _ in range(2))
    await tokens.write(StoredTokens("ann", "social").renewed("s", "a", "r", NOW))
    found = await others.read("ann", "social")
    assert (found.is_sealed, found.access_token, found.generation) == (True, "", 1)


async def test_a_parked_message_comes_back_byte_for_byte(table: Table):
    parked = ParkedTable(table)
    row = Parked("message/ä/\\#?/1", "mine", bytes(range(256)), "malformed", "not a wake-up", NOW, user=KEY.user)
    await parked.put(row)
    assert await parked.get(row.id) == row
    assert [each async for each in parked.all()] == [row]
    await parked.remove(row.id)
    await parked.remove(row.id)
    assert await parked.get(row.id) is None


async def test_a_schedule_is_kept_and_of_two_schedulers_one_is_first(table: Table):
    schedules = ScheduleTable(table)
    fresh = await schedules.read("social", "posts")
    assert fresh == Schedule("social", "posts")
    started = await schedules.write(fresh.started(NOW).advanced(KEY.user))
    with pytest.raises(Conflict):
        await schedules.write(fresh.started(NOW))
    assert await schedules.read("social", "posts") == started
    await schedules.request("social", "posts", NOW)
    with pytest.raises(Conflict):
        await schedules.write(started.completed())
    assert (await schedules.read("social", "posts")).requested == NOW


async def test_admission_is_open_until_somebody_sets_it_and_is_soon_seen_everywhere(table: Table):
    second = 0.0
    mine, other = AdmissionTable(table, lambda: second), AdmissionTable(table, lambda: second)
    assert (await mine.percent(), await other.percent()) == (100, 100)
    await mine.set(0)
    assert await mine.percent() == 0
    second += FRESH
    assert await other.percent() == 0
    assert not await other.admits(KEY)


async def test_every_page_that_waits_is_found_though_a_plan_holds_fewer(
    checkpoints: CheckpointTable, deliveries: DeliveryTable
):
    """Oldest first, each once."""
    current = await checkpoints.insert(BEGUN)
    for _ in range(MAX_PAGES + 2):
        after = replace(committed(current, indexed=False), etag=current.etag)
        current = await checkpoints.commit(after, [page_of(current)], b"")
    assert [page.seq async for page in deliveries.all_waiting(KEY)] == list(range(MAX_PAGES + 2))
    assert len(await deliveries.waiting(KEY)) == MAX_PAGES

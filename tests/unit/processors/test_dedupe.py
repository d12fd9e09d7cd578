"""The dedupe index in memory: it saves reads and is never wrong."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dedupe import SeenCache
from processors.records import CONTENT_BYTES, KEY_BYTES, SeenKeys, learn
from shared.adapters.checkpoint_table import CheckpointTable
from shared.checkpoint import Checkpoint
from shared.errors import Conflict, Damaged
from shared.messages import Priority, StreamKey
from shared.pipeline.loop_guard import LoopGuard
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.memory_tables import MemoryTable

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()[: KEY_BYTES + CONTENT_BYTES]


async def seen(cache: SeenCache, checkpoint: Checkpoint, index: "Index") -> SeenKeys:
    return dict((await cache.seen(checkpoint, index.checkpoints)).keys.items())


class Index:
    """An index row per page, in a table that counts how often it is read."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.checkpoints = CheckpointTable(self.table, MemoryObjects())
        self.truth: dict[str, list[bytes]] = {}

    async def begin(self, user: str = "ann", run: str = "run1") -> Checkpoint:
        key = StreamKey("social", "posts", user)
        return await self.checkpoints.insert(Checkpoint.begin(key, run, NOW, Priority.NORMAL, run))

    async def commit(self, before: Checkpoint, *names: object) -> tuple[Checkpoint, bytes]:
        learned = b"".join(map(entry, names))
        self.truth.setdefault(before.key.user, []).append(learned)
        after = before.committed(NOW, "c", LoopGuard(), records=0, duplicates=0, size=0, indexed=bool(learned))
        return await self.checkpoints.commit(after, [], learned), learned

    def holds(self, user: str = "ann") -> SeenKeys:
        held: SeenKeys = {}
        for learned in self.truth.get(user, []):
            learn(held, learned)
        return held


async def test_what_is_in_the_index_is_seen():
    index, cache = Index(), SeenCache()
    checkpoint, _ = await index.commit(await index.begin(), 1, 2)
    checkpoint, _ = await index.commit(checkpoint, 3)
    assert await seen(cache, checkpoint, index) == index.holds()


async def test_what_was_just_committed_need_not_be_read():
    """Storage is away, and the cache still knows."""
    index, cache = Index(), SeenCache()
    checkpoint = await index.begin()
    for number in range(5):
        await cache.seen(checkpoint, index.checkpoints)
        checkpoint, learned = await index.commit(checkpoint, number)
        cache.advance(checkpoint, learned)
    index.table.away = True
    assert await seen(cache, checkpoint, index) == index.holds()


async def test_pages_of_other_instances_are_read_when_needed():
    index, mine, other = Index(), SeenCache(), SeenCache()
    checkpoint = await index.begin()
    for number in range(6):
        cache = mine if number % 3 else other
        assert await seen(cache, checkpoint, index) == index.holds()
        checkpoint, learned = await index.commit(checkpoint, number, number + 1)
        cache.advance(checkpoint, learned)
    assert await seen(mine, checkpoint, index) == index.holds()
    assert await seen(other, checkpoint, index) == index.holds()


async def test_it_says_how_many_rows_were_read():
    """None where memory knew all of them."""
    index, cache = Index(), SeenCache()
    checkpoint, _ = await index.commit(await index.begin(), 1)
    checkpoint, _ = await index.commit(checkpoint, 2)
    read = [(await cache.seen(checkpoint, index.checkpoints)).rows_read for _ in range(2)]
    checkpoint, _ = await index.commit(checkpoint, 3)
    assert [*read, (await cache.seen(checkpoint, index.checkpoints)).rows_read] == [2, 0, 1]


async def test_a_page_that_was_skipped_is_not_skipped_in_the_cache():
    """Advancing over a gap would claim to know what it does not."""
    index, cache = Index(), SeenCache()
    checkpoint = await index.begin()
    await cache.seen(checkpoint, index.checkpoints)
    checkpoint, _ = await index.commit(checkpoint, 1)
    checkpoint, learned = await index.commit(checkpoint, 2)
    cache.advance(checkpoint, learned)
    assert await seen(cache, checkpoint, index) == index.holds()


async def test_an_index_begun_anew_under_its_old_name_is_empty():
    """A user was removed and added again: what the first had is not what the second has."""
    index, cache = Index(), SeenCache()
    checkpoint, _ = await index.commit(await index.begin(), 1, 2)
    await cache.seen(checkpoint, index.checkpoints)
    await index.checkpoints.remove(checkpoint.key)
    assert await seen(cache, await index.begin(), index) == {}


async def test_an_old_checkpoint_whose_rows_are_gone_is_a_conflict():
    """Whoever holds it is too late; to take what is left for the whole index would bring records twice."""
    index, cache = Index(), SeenCache()
    old, _ = await index.commit(await index.begin(), 1, 2)
    await index.checkpoints.replace(replace(old, index="run1.folded", index_position=0))
    await index.checkpoints.forget_index(old.key, old.index)
    with pytest.raises(Conflict):
        await cache.seen(old, index.checkpoints)


async def test_rows_that_somebody_has_deleted_are_not_passed_over():
    """Going on would bring records twice; the error names stream and user."""
    index, cache = Index(), SeenCache()
    checkpoint, _ = await index.commit(await index.begin(), 1, 2)
    await index.checkpoints.forget_index(checkpoint.key, checkpoint.index)
    with pytest.raises(Damaged, match=r"ann.* has 0 of 1 rows"):
        await cache.seen(checkpoint, index.checkpoints)


async def test_streams_and_indexes_do_not_mix():
    index, cache = Index(), SeenCache()
    for user in ("ann", "bob"):
        checkpoint, _ = await index.commit(await index.begin(user), user)
        await cache.seen(checkpoint, index.checkpoints)
        assert await seen(cache, checkpoint, index) == index.holds(user)
    other = replace(checkpoint, index="run2", index_position=0)
    assert await seen(cache, other, index) == {}


async def test_there_is_a_bound_and_what_was_forgotten_is_read_again():
    index, cache = Index(), SeenCache(most_entries=100)
    checkpoints = {}
    for user in map(str, range(30)):
        checkpoints[user], _ = await index.commit(await index.begin(user), *(f"{user}/{n}" for n in range(9)))
    for user in [*checkpoints, *checkpoints]:
        assert await seen(cache, checkpoints[user], index) == index.holds(user)
        assert len(cache) <= 10


async def test_streams_without_any_key_count_too():
    """Hundreds of thousands of users without a record would fill the memory with nothing."""
    index, cache = Index(), SeenCache(most_entries=50)
    for number in range(200):
        await cache.seen(await index.begin(str(number)), index.checkpoints)
    assert len(cache) <= 50


async def test_growing_by_commits_keeps_the_bound_too():
    index, cache = Index(), SeenCache(most_entries=20)
    first, second = await index.begin("ann"), await index.begin("bob")
    for number in range(30):
        await cache.seen(first, index.checkpoints)
        await cache.seen(second, index.checkpoints)
        first, learned = await index.commit(first, f"a{number}")
        cache.advance(first, learned)
        second, learned = await index.commit(second, f"b{number}")
        cache.advance(second, learned)
    assert len(cache) == 1
    assert await seen(cache, second, index) == index.holds("bob")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 3)), max_size=40))
def test_it_always_holds_exactly_what_the_index_holds(steps: list[tuple[str, int, int]]):
    """Users, instances and pages in any order, with caches far too small."""

    async def play() -> None:
        index, caches = Index(), [SeenCache(6), SeenCache(3)]
        checkpoints: dict[str, Checkpoint] = {}
        for step, (user, which, count) in enumerate(steps):
            before = checkpoints.get(user) or await index.begin(user)
            assert await seen(caches[which], before, index) == index.holds(user)
            checkpoints[user], learned = await index.commit(before, *((step, n) for n in range(count)))
            caches[which].advance(checkpoints[user], learned)

    asyncio.run(play())

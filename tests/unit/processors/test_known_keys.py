"""Many keys in little room, and the same answers as a dictionary."""

import hashlib
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from processors.known_keys import FEW, KnownKeys, in_order
from processors.records import ENTRY_BYTES, KEY_BYTES, SeenKeys, learn


def entry(number: int, content: int = 0) -> bytes:
    key = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=KEY_BYTES).digest()
    return key + content.to_bytes(ENTRY_BYTES - KEY_BYTES, "big")


def rows(numbers: range, content: int = 0) -> bytes:
    return b"".join(entry(number, content) for number in numbers)


def truth_of(numbers: range) -> dict[bytes, bytes]:
    truth = dict[bytes, bytes]()
    learn(truth, rows(numbers))
    return truth


def test_few_keys_are_known_with_the_content_last_learned():
    known = KnownKeys()
    known.learn(rows(range(3)) + entry(1, 7))
    assert known.get(entry(1)[:KEY_BYTES]) == entry(1, 7)[KEY_BYTES:]
    assert known.get(entry(5)[:KEY_BYTES]) is None


def test_many_keys_answer_as_a_dictionary_does():
    """Some learned again with other content, before and after they have been packed."""
    known, truth = KnownKeys(), dict[bytes, bytes]()
    for start, content in ((0, 0), (FEW // 2, 1), (FEW, 2), (3 * FEW, 3), (0, 4), (FEW, 5)):
        learned = rows(range(start, start + 3 * FEW), content)
        known.learn(learned)
        learn(truth, learned)
    assert dict(known.items()) == truth
    assert all(known.get(key) == content for key, content in truth.items())
    unknown = (entry(number)[:KEY_BYTES] for number in range(10 * FEW, 10 * FEW + 1000))
    assert not any(known.get(key) for key in unknown)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=80))
def test_whatever_is_learned_and_whenever_it_is_packed(entries: list[tuple[int, int]]):
    """A share that packs after every few entries."""
    known, truth = KnownKeys(), dict[bytes, bytes]()
    known.learn(rows(range(100, 100 + FEW + 1)))
    learn(truth, rows(range(100, 100 + FEW + 1)))
    for number, content in entries:
        known.learn(entry(number, content))
        learn(truth, entry(number, content))
    assert dict(known.items()) == truth


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=20)), max_size=8
    )
)
def test_rows_in_order_and_others_answer_as_a_dictionary_does(learned: list[tuple[bool, list[tuple[int, int]]]]):
    """Whichever comes first; what comes last counts."""
    known, truth = KnownKeys(), dict[bytes, bytes]()
    for is_in_order, entries in learned:
        row = b"".join(entry(*each) for each in entries)
        if is_in_order:
            folded = KnownKeys()
            folded.learn(row)
            for each in in_order(folded, 7):
                known.learn(each)
        else:
            known.learn(row)
        learn(truth, row)
    assert sorted(known.items()) == sorted(truth.items())
    for number in range(40):
        key = entry(number)[:KEY_BYTES]
        assert known.get(key) == truth.get(key)


def test_a_row_in_order_holds_so_many_entries_at_most():
    known = KnownKeys()
    known.learn(rows(range(10)))
    found = in_order(known, 4)
    assert [len(each) // ENTRY_BYTES - 1 for each in found] == [4, 4, 2]
    keys = [each[start : start + KEY_BYTES] for each in found for start in range(0, len(each), ENTRY_BYTES)]
    assert sorted(set(keys)) == sorted(set(truth_of(range(10))) | {bytes(KEY_BYTES)})
    assert in_order(KnownKeys(), 4) == []


def test_rows_in_order_take_the_room_that_they_have():
    known, folded = KnownKeys(), KnownKeys()
    folded.learn(rows(range(5 * FEW)))
    written = in_order(folded, FEW)
    tracemalloc.start()
    for each in written:
        known.learn(bytes(bytearray(each)))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 1.1 * 5 * FEW * ENTRY_BYTES
    assert known.weight < 5 * FEW / 5
    assert known.get(entry(7)[:KEY_BYTES]) == entry(7)[KEY_BYTES:]


def test_many_keys_take_a_quarter_of_the_room_of_a_dictionary():
    def room(target: KnownKeys | SeenKeys) -> int:
        tracemalloc.start()
        for start in range(0, 10 * FEW, 100):
            row = rows(range(start, start + 100))
            target.learn(row) if isinstance(target, KnownKeys) else learn(target, row)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    assert room(known := KnownKeys()) < room({}) / 4
    assert known.weight < 10 * FEW / 4

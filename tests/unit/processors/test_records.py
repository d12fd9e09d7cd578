"""Which records are new to a user, and how they look in the output."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.records import (
    ENTRY_BYTES,
    SeenKeys,
    Sifted,
    compressed,
    decompressed,
    learn,
    output_lines,
    sift,
)
from shared.checkpoint import Checkpoint
from shared.errors import MalformedResponse
from shared.messages import Priority, StreamKey
from shared.pipeline.numbers import number
from shared.pipeline.spec import SinglePage, Stream

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = StreamKey("social", "posts", "änn")
AT_ZERO = Checkpoint.begin(KEY, "run1", NOW, Priority.NORMAL, "run1")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)
names = st.text(max_size=6) | st.sampled_from(
    ["_user", "__user", "___user", "_run", "_page", "_mined_at", "_deleted", "id"]
)
records = st.dictionaries(names, values, max_size=6)


def stream(*primary_key: str, emit: str = "changed", **options: object) -> Stream:
    paginator = SinglePage(type="single_page")
    return Stream(name="posts", paginator=paginator, primary_key=primary_key, emit=emit, **options)  # type: ignore[arg-type]  # plain text


def after(learned: bytes) -> SeenKeys:
    seen: SeenKeys = {}
    learn(seen, learned)
    return seen


def passes(stream: Stream, *pages: list[dict[str, Any]]) -> list[Sifted]:
    """One page after the other, each knowing what the ones before it learned."""
    seen: SeenKeys = {}
    sifted = []
    for page in pages:
        sifted.append(sift(page, stream, seen))
        learn(seen, sifted[-1].learned)
    return sifted


OLD, NEW, OTHER = {"id": 1, "text": "old"}, {"id": 1, "text": "new"}, {"id": 2, "text": "old"}


class TestSift:
    @pytest.mark.parametrize(
        ("emit", "kept"),
        [
            ("changed", [[OLD], [], [NEW, OTHER], [OLD]]),
            ("new", [[OLD], [], [OTHER], []]),
            ("all", [[OLD], [], [NEW, OTHER], [OLD]]),
        ],
    )
    def test_each_emit_keeps_what_it_says(self, emit: str, kept: list[object]):
        """`all` and `changed` differ in how long the index lives: a run, or for ever."""
        sifted = passes(stream("id", emit=emit), [OLD], [OLD], [NEW, OTHER], [OLD])
        assert [page.kept for page in sifted] == kept

    def test_what_was_not_kept_is_counted(self):
        first, second = passes(stream("id"), [OLD, OLD, OTHER], [OLD, NEW])
        assert (first.duplicates, second.duplicates) == (1, 1)

    def test_a_change_within_a_page_is_kept_in_its_order(self):
        (page,) = passes(stream("id"), [OLD, NEW, OLD])
        assert page.kept == [OLD, NEW, OLD]
        assert len(page.learned) == ENTRY_BYTES

    def test_without_a_primary_key_everything_is_kept(self):
        first, second = passes(stream(), [OLD, OLD], [OLD])
        assert (first.kept, second.kept, first.learned) == ([OLD, OLD], [OLD], b"")

    @pytest.mark.parametrize("record", [{}, {"id": None}, {"text": "x"}])
    def test_a_record_without_its_key_is_kept_each_time(self, record: dict[str, Any]):
        """It can't be compared, and nothing is lost."""
        first, second = passes(stream("id"), [record], [record])
        assert first.kept == second.kept == [record]
        assert first.learned == b""

    def test_a_compound_key_counts_as_a_whole(self):
        rows = [{"order": order, "line": line} for order in "ab" for line in "ab"]
        first, second = passes(stream("order", "line"), rows, rows)
        assert (first.kept, second.kept) == (rows, [])

    def test_compound_keys_do_not_run_together(self):
        rows = [{"a": "x", "b": "yz"}, {"a": "xy", "b": "z"}, {"a": 'x", "y', "b": "z"}]
        (page,) = passes(stream("a", "b"), rows)
        assert page.kept == rows

    def test_a_compound_key_of_which_a_part_is_missing_can_not_be_compared(self):
        first, second = passes(stream("a", "b"), [{"a": 1}], [{"a": 1}])
        assert len(first.kept + second.kept) == 2

    def test_a_key_may_lie_deep(self):
        first, second = passes(stream("meta.id"), [{"meta": {"id": 1}}], [{"meta": {"id": 1}}])
        assert (len(first.kept), len(second.kept)) == (1, 0)

    @pytest.mark.parametrize("key", [0, "", False, 2**53 + 1, -1, 1.5, "\ud800", "\x00", [1], {"a": 1}])
    def test_any_value_can_be_a_key(self, key: object):
        first, second = passes(stream("id"), [{"id": key}], [{"id": key}])
        assert (len(first.kept), len(second.kept)) == (1, 0)

    def test_large_numbers_stay_apart(self):
        """2⁵³ and its successor are the same float."""
        rows = [{"id": 2**53}, {"id": 2**53 + 1}]
        (page,) = passes(stream("id"), rows)
        assert page.kept == rows

    def test_an_id_that_is_a_number_here_and_a_text_there_is_the_same(self):
        """The record differs, so it is kept as changed; `new` sees that it knows the key."""
        first, second = passes(stream("id", emit="new"), [{"id": 7}], [{"id": "7"}])
        assert (len(first.kept), len(second.kept)) == (1, 0)

    def test_the_order_of_fields_is_no_change(self):
        first, second = passes(stream("id"), [{"id": 1, "a": {"x": 1, "y": 2}}], [{"a": {"y": 2, "x": 1}, "id": 1}])
        assert second.kept == []
        assert first.kept

    def test_what_is_seen_is_not_changed(self):
        seen: SeenKeys = {}
        sift([OLD], stream("id"), seen)
        assert seen == {}

    @given(st.lists(st.lists(st.fixed_dictionaries({"id": st.integers(0, 5), "v": st.integers(0, 2)}), max_size=6)))
    def test_changed_keeps_exactly_the_changes(self, pages: list[list[dict[str, Any]]]):
        latest: dict[int, object] = {}
        expected = []
        for record in (record for page in pages for record in page):
            if latest.get(record["id"]) != record:
                expected.append(record)
            latest[record["id"]] = record
        sifted = passes(stream("id"), *pages)
        assert [record for page in sifted for record in page.kept] == expected

    @given(st.dictionaries(st.binary(min_size=12, max_size=12), st.binary(min_size=8, max_size=8)))
    def test_what_a_row_says_is_learned(self, seen: SeenKeys):
        assert after(b"".join(key + content for key, content in seen.items())) == seen

    def test_keys_that_only_a_long_fraction_tells_apart_stay_apart(self):
        rows = [{"id": number(f"0.1234567890123456789{digit}")} for digit in "12"]
        (page,) = passes(stream("id", emit="new"), rows)
        assert page.kept == rows


class TestIgnoreChanges:
    VIEWED = stream("id", ignore_changes=("views", "author.seen", "tags.count"))

    @pytest.mark.parametrize(
        "later",
        [
            {"id": 1, "views": 9, "author": {"name": "ann", "seen": 1}, "tags": [{"name": "x", "count": 1}]},
            {"id": 1, "author": {"name": "ann", "seen": 2}, "tags": [{"name": "x", "count": 5}]},
            {"id": 1, "author": {"name": "ann"}, "tags": [{"name": "x"}]},
        ],
    )
    def test_a_change_of_what_is_ignored_is_none(self, later: dict[str, Any]):
        record = {"id": 1, "views": 3, "author": {"name": "ann", "seen": 1}, "tags": [{"name": "x", "count": 1}]}
        first, second = passes(self.VIEWED, [record], [later])
        assert (first.kept, second.kept) == ([record], [])

    def test_another_change_brings_the_whole_record(self):
        """With the value that what is ignored has now."""
        first, second = passes(self.VIEWED, [{"id": 1, "views": 3, "text": "a"}], [{"id": 1, "views": 9, "text": "b"}])
        assert first.kept
        assert second.kept == [{"id": 1, "views": 9, "text": "b"}]

    @given(st.lists(st.fixed_dictionaries({"id": st.integers(0, 3), "v": st.integers(0, 2), "n": st.integers()})))
    def test_it_is_as_if_the_field_were_not_there(self, rows: list[dict[str, Any]]):
        (ignoring,) = passes(stream("id", ignore_changes=("n",)), rows)
        (without_it,) = passes(stream("id"), [{"id": row["id"], "v": row["v"]} for row in rows])
        assert [(row["id"], row["v"]) for row in ignoring.kept] == [(row["id"], row["v"]) for row in without_it.kept]


HERE, GONE = {"id": 1, "gone": False}, {"id": 1, "gone": True}


class TestDeleted:
    @pytest.mark.parametrize("emit", ["changed", "new", "all"])
    def test_a_deletion_is_kept_once_until_the_record_comes_back(self, emit: str):
        rows = [HERE, GONE, GONE | {"at": 2}, GONE, HERE, HERE, GONE]
        sifted = passes(stream("id", emit=emit, deleted={"path": "gone"}), *([row] for row in rows))
        assert [page.kept for page in sifted] == [[HERE], [GONE], [], [], [HERE], [], [GONE]]
        assert [sorted(page.deleted) for page in sifted] == [[], [0], [], [], [], [], [0]]

    def test_a_record_that_was_never_seen_alive_is_kept_too(self):
        (page,) = passes(stream("id", deleted={"path": "gone"}), [HERE | {"id": 2}, GONE])
        assert (page.kept, page.deleted) == ([HERE | {"id": 2}, GONE], {1})

    def test_of_the_new_only_deletion_and_return_are_changes(self):
        rows = [HERE, HERE | {"v": 2}, GONE, HERE | {"v": 3}, HERE | {"v": 4}]
        (page,) = passes(stream("id", emit="new", deleted={"path": "gone"}), rows)
        assert page.kept == [HERE, GONE, HERE | {"v": 3}]

    @pytest.mark.parametrize(
        ("deleted", "record"),
        [
            ({"path": "state", "value": "removed"}, {"state": "removed"}),
            ({"path": "flags.gone", "value": 1}, {"flags": {"gone": 1}}),
            ({"path": "deleted_at != null"}, {"deleted_at": "2026-11-22"}),
        ],
    )
    def test_a_source_says_it_in_its_own_way(self, deleted: object, record: dict[str, Any]):
        (page,) = passes(stream("id", deleted=deleted), [{"id": 1} | record])
        assert page.deleted == {0}

    @pytest.mark.parametrize("found", [1, "true", None, False, [], "1"])
    def test_only_the_value_itself_says_it(self, found: object):
        (page,) = passes(stream("id", deleted={"path": "gone"}), [{"id": 1, "gone": found}])
        assert page.deleted == set()

    def test_without_its_key_a_deletion_is_marked_each_time(self):
        first, second = passes(stream("id", deleted={"path": "gone"}), [{"gone": True}], [{"gone": True}])
        assert first.deleted == second.deleted == {0}

    @given(
        st.sampled_from(["changed", "new", "all"]),
        st.lists(st.lists(st.fixed_dictionaries({"id": st.integers(0, 2), "gone": st.booleans()}), max_size=5)),
    )
    def test_each_turn_of_a_record_is_kept_exactly_once(self, emit: str, pages: list[list[dict[str, Any]]]):
        """However its pages are cut."""
        latest: dict[int, bool] = {}
        expected = []
        for record in (record for page in pages for record in page):
            if latest.get(record["id"]) != record["gone"]:
                expected.append(record)
            latest[record["id"]] = record["gone"]
        sifted = passes(stream("id", emit=emit, deleted={"path": "gone"}), *pages)
        assert [record for page in sifted for record in page.kept] == expected


class TestOutputLines:
    def lines(self, *page: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in output_lines(list(page), AT_ZERO, NOW).splitlines()]

    def test_a_line_is_the_record_and_where_it_comes_from(self):
        assert self.lines({"id": 1}) == [
            {"id": 1, "_user": "änn", "_run": "run1", "_page": 0, "_mined_at": "2026-11-22T12:00:00.000+00:00"}
        ]

    def test_an_empty_record_is_a_line_too(self):
        assert list(self.lines({})[0]) == ["_user", "_run", "_page", "_mined_at"]

    def test_a_record_that_is_gone_says_so(self):
        """Its own field of that name steps aside, like any of ours."""
        first, second = output_lines([HERE, GONE | {"_deleted": "x"}], AT_ZERO, NOW, {1}).splitlines()
        assert "_deleted" not in json.loads(first)
        assert json.loads(second)["_deleted"] is True
        assert json.loads(second)["__deleted"] == "x"

    def test_no_record_is_no_line(self):
        assert output_lines([], AT_ZERO, NOW) == b""

    @given(st.lists(records, max_size=5))
    def test_every_field_of_every_record_survives(self, page: list[dict[str, Any]]):
        """Fields called like ours get an underscore in front; no two ever meet under one name."""
        lines = self.lines(*page)
        assert len(lines) == len(page)
        for line, record in zip(lines, page, strict=True):
            assert line["_user"] == "änn"
            assert len(line) == len(record) + 4
            for name, value in record.items():
                ours = name.lstrip("_") in {"user", "run", "page", "mined_at", "deleted"} and name.startswith("_")
                assert line["_" + name if ours else name] == value

    @pytest.mark.parametrize(
        "value", [2**53 + 1, 2**64, -(2**200), 0.1, "\ud800", "\x00", "line\nend", "\u2028", "😀", "</script>"]
    )
    def test_odd_values_come_out_as_they_went_in(self, value: object):
        raw = output_lines([{"v": value}], AT_ZERO, NOW)
        assert raw.count(b"\n") == 1
        assert raw.isascii()
        assert json.loads(raw)["v"] == value

    def test_the_order_of_fields_is_that_of_the_source(self):
        assert list(self.lines({"z": 1, "a": 2})[0])[:2] == ["z", "a"]

    @pytest.mark.parametrize("text", ["1e999", "-1e999"])
    def test_a_number_that_no_float_holds_is_malformed(self, text: str):
        """It is good JSON, and would come out as `Infinity`, which is not."""
        with pytest.raises(MalformedResponse, match="found a number like 1e999"):
            output_lines([json.loads(f'{{"v": {text}}}')], AT_ZERO, NOW)

    def test_a_record_that_is_nested_too_deep_is_malformed(self):
        deep: dict[str, Any] = {}
        for _ in range(100_000):
            deep = {"a": deep}
        with pytest.raises(MalformedResponse, match="nested too deep"):
            output_lines([deep], AT_ZERO, NOW)
        with pytest.raises(MalformedResponse, match="nested too deep"):
            sift([{"id": 1, "deep": deep}], stream("id"), {})


@given(st.binary(max_size=2000))
def test_what_is_compressed_is_decompressed(data: bytes):
    assert decompressed(compressed(data)) == data

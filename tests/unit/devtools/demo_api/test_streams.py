"""Order, pages and movement of one user's records."""

import pytest

from devtools.demo_api.streams import START, Entry, Position, Stream, sizes


def stream_of(size: int) -> Stream:
    return Stream("u001", "posts", size, seed=7)


def numbers(stream: Stream, limit: int = 100) -> list[int]:
    """What a reader from the first page to the last one sees."""
    seen, position = [], START
    while position is not None:
        page = stream.page(position, limit)
        seen += [entry.number for entry in page.entries]
        position = page.next
    return seen


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 199, 200, 201])
def test_pages_show_every_record_once_and_in_order(size: int) -> None:
    """Also where the last page is full, and where there is none."""
    assert numbers(stream_of(size)) == list(range(1, size + 1))


def test_a_full_last_page_has_no_next_one() -> None:
    """200 records are two pages, not three."""
    stream = stream_of(200)
    second = stream.page(START, 100).next
    assert second is not None
    assert stream.page(second, 100).next is None


def test_a_moved_record_comes_again_at_the_end_and_hides_no_other() -> None:
    """Keyset pagination: the pages behind the position stay as they were."""
    stream = stream_of(250)
    second = stream.page(START, 100).next
    assert second is not None
    expected = stream.page(second, 100)
    assert stream.move(before=second, draw=41)
    assert stream.page(second, 100) == expected
    assert numbers(stream) == [n for n in range(1, 251) if n != 42] + [42]
    assert stream.latest_versions()[stream.format.record_id(42)] == 2


def test_a_record_moves_once_at_most() -> None:
    """So that a reader with pages of one record gets to the end."""
    stream = stream_of(3)
    assert stream.move(Position(3, 3), draw=0)
    assert stream.move(Position(4, 1), draw=0)
    assert stream.move(Position(5, 2), draw=0)
    assert not any(stream.move(Position(6, 3), draw) for draw in range(3))


def test_nothing_moves_once_the_last_page_was_shown() -> None:
    """A reader that has come to the end has seen every latest version."""
    stream = stream_of(150)
    assert stream.may_move(START)
    stream.show(stream.page(Position(100, 100), 100))
    assert not stream.may_move(Position(50, 50))


def test_a_page_read_again_moves_nothing_again() -> None:
    """Retries see the stream as the first try left it."""
    stream = stream_of(150)
    assert [stream.may_move(START), stream.may_move(START)] == [True, False]


def test_shown_versions_are_the_newest_that_went_out() -> None:
    """Both versions of a moved record count, and the newer one is told."""
    stream = stream_of(2)
    stream.show(stream.page(START, 1))
    assert stream.shown_versions() == {stream.format.record_id(1): 1}
    stream.move(Position(1, 1), draw=0)
    stream.show(stream.page(Position(2, 2), 1))
    assert stream.shown == {Entry(1, 1, 1), Entry(3, 1, 2)}
    assert stream.shown_versions() == {stream.format.record_id(1): 2}


def test_sizes_are_the_same_for_the_same_seed_only() -> None:
    """The order is drawn by the seed; the mixture is always the same."""
    assert sizes(400, 7) == sizes(400, 7) != sizes(400, 8)
    assert sorted(sizes(400, 7)) == sorted(sizes(400, 8))


def test_200_users_have_about_110_000_records_on_1000_to_1300_pages() -> None:
    """With sizes at the edges of pages, empty streams and a few with 20 pages."""
    drawn = sizes(400, 7)
    assert 105_000 < sum(drawn) < 115_000
    assert 1000 <= sum(max(1, -(-size // 100)) for size in drawn) <= 1300
    assert {0, 1, 99, 100, 101, 199, 200, 201} <= set(drawn)
    assert 5 < sum(size > 1900 for size in drawn) < 20


def test_the_scale_multiplies_full_pages_and_keeps_the_rest() -> None:
    """A page edge stays a page edge."""
    assert [size % 100 for size in sizes(400, 7, 3.0)] == [size % 100 for size in sizes(400, 7)]
    assert sum(sizes(400, 7, 3.0)) > 2.5 * sum(sizes(400, 7))

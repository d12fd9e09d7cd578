"""Page sizes that follow the source and the user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pipeline.loader import load_text
from shared.pipeline.page_sizes import grown, shrunk, sized
from shared.pipeline.spec import Stream
from tests.fakes.world import PIPELINE


def stream(size: str) -> Stream:
    return load_text(f"{PIPELINE}    page_size: {size}\n", "pipeline.yaml").streams[0]


ADAPTIVE = stream("{ param: limit, value: 100, minimum: 10, maximum: 250, adaptive: true }")
FIXED = stream("{ param: limit, value: 100, maximum: 250 }")


def test_full_pages_grow_up_to_the_maximum():
    sizes = [0]
    for _ in range(20):
        sizes.append(grown(ADAPTIVE, sizes[-1], sizes[-1] or 100, is_whole_slice=False))
    assert sizes[1:4] == [110, 120, 130]
    assert sizes[-1] == 250


def test_a_page_that_is_not_full_leaves_the_size_as_it_is():
    assert grown(ADAPTIVE, 150, 149, is_whole_slice=False) == 150


def test_who_has_little_comes_back_to_the_value_of_the_file():
    assert grown(ADAPTIVE, 200, 99, is_whole_slice=True) == 100
    assert grown(ADAPTIVE, 50, 3, is_whole_slice=True) == 50
    assert grown(ADAPTIVE, 200, 120, is_whole_slice=True) == 200


def test_too_large_halves_it_down_to_the_minimum():
    sizes, size = [], 100
    while (smaller := shrunk(ADAPTIVE, size)) is not None:
        sizes.append(size := smaller)
    assert sizes == [50, 25, 12, 10]


def test_a_size_that_does_not_adapt_stays():
    assert (grown(FIXED, 0, 100, is_whole_slice=False), shrunk(FIXED, 0)) == (0, None)
    assert sized(FIXED, 50) is FIXED


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400), st.booleans())))
def test_it_stays_within_its_bounds(steps: list[tuple[bool, int, bool]]):
    size = 0
    for fits, records, whole in steps:
        size = grown(ADAPTIVE, size, records, is_whole_slice=whole) if fits else shrunk(ADAPTIVE, size) or size
        asked = sized(ADAPTIVE, size).page_size
        assert asked is not None
        assert 10 <= asked.value <= 250


@pytest.mark.parametrize(
    "paginator", ["{ type: page_number }", "{ type: single_page }", "{ type: offset, limit: 100 }"]
)
def test_it_is_refused_where_places_are_counted_in_pages(paginator: str):
    text = PIPELINE.replace("{ type: cursor, cursor_path: next, cursor_param: after }", paginator)
    with pytest.raises(Exception, match="adaptive page_size"):
        load_text(f"{text}    page_size: {{ param: limit, value: 100, adaptive: true }}\n", "pipeline.yaml")

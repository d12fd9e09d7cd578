"""Cursors are opaque, bound to their user and stream, and may expire."""

import base64

import pytest

from devtools.demo_api.cursors import Cursors
from devtools.demo_api.graph_errors import GraphError
from devtools.demo_api.streams import Position

NOW = 1_800_000_000.0


def test_a_cursor_leads_back_to_its_position() -> None:
    """And is the same each time it is written."""
    cursors = Cursors(seed=7)
    cursor = cursors.write("u001", "posts", Position(100, 40, 2), NOW)
    assert cursor == cursors.write("u001", "posts", Position(100, 40, 2), NOW + 9)
    assert cursors.read("u001", "posts", cursor, NOW + 1e6) == Position(100, 40, 2)


@pytest.mark.parametrize(("user", "stream"), [("u002", "posts"), ("u001", "comments")])
def test_a_cursor_of_another_user_or_stream_is_refused(user: str, stream: str) -> None:
    """400 with a code, not somebody else's place."""
    cursors = Cursors(seed=7)
    cursor = cursors.write("u001", "posts", Position(100, 40), NOW)
    with pytest.raises(GraphError, match="Invalid cursor") as refused:
        cursors.read(user, stream, cursor, NOW)
    assert refused.value.status == 400


@pytest.mark.parametrize("cursor", ["rubbish", "é", "QUJD", base64.b64encode(b"12345678100.40.0.0").decode()])
def test_a_cursor_that_was_never_issued_is_refused(cursor: str) -> None:
    """Not Base64, too short, or with a signature of somebody's own making."""
    with pytest.raises(GraphError, match="Invalid cursor"):
        Cursors(seed=7).read("u001", "posts", cursor, NOW)


def test_a_cursor_expires_after_its_lifetime() -> None:
    """Until then it holds."""
    cursors = Cursors(seed=7, lifetime_seconds=60)
    cursor = cursors.write("u001", "posts", Position(100, 40), NOW)
    assert cursors.read("u001", "posts", cursor, NOW + 60) == Position(100, 40)
    with pytest.raises(GraphError, match="Expired cursor"):
        cursors.read("u001", "posts", cursor, NOW + 61)


def test_some_cursors_need_encoding_in_a_query() -> None:
    """A client that pastes them in unencoded is found out: `+` would arrive as a space."""
    cursors = Cursors(seed=7)
    written = [cursors.write("u001", "posts", Position(n, n), NOW) for n in range(200)]
    assert any("+" in cursor for cursor in written)

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devtools.cli import session
from shared.errors import BadInput
from shared.messages import StreamKey

NOW = datetime(2026, 11, 22, 12, 0, 30, 250_000, tzinfo=UTC)
KEYS = [StreamKey("social", "posts", "ann"), StreamKey("social", "posts", "ben")]


def test_a_killed_session_goes_on_with_its_tick(tmp_path: Path):
    """The tick makes the run ids: the same tick starts nothing twice."""
    first = session.begin(tmp_path / "mine.json", KEYS, NOW)
    again = session.begin(tmp_path / "mine.json", reversed(KEYS), NOW + timedelta(hours=1))
    assert again.tick == first.tick == NOW.replace(microsecond=0)
    assert again.resumed
    assert not first.resumed


def test_an_ended_session_is_followed_by_a_new_one(tmp_path: Path):
    first = session.begin(tmp_path / "mine.json", KEYS, NOW)
    session.write(tmp_path / "mine.json", first.as_ended())
    second = session.begin(tmp_path / "mine.json", KEYS, NOW)
    assert second.tick > first.tick, "run ids count in seconds, so two sessions within one second must differ"
    assert not second.resumed


def test_other_work_gets_a_tick_of_its_own(tmp_path: Path):
    """The scheduler has gone through all users for the old tick: a new user would be left out."""
    first = session.begin(tmp_path / "mine.json", KEYS[:1], NOW)
    second = session.begin(tmp_path / "mine.json", KEYS, NOW + timedelta(seconds=9))
    assert second.tick == first.tick + timedelta(seconds=9)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tick": "noon", "work": "x", "ended": false}'])
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, text: str):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(BadInput, match=r"mine\.json: found no session, allowed: what headframe mine wrote there"):
        session.begin(tmp_path / "mine.json", KEYS, NOW)

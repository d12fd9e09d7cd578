"""What a record looks like."""

import json

import pytest

from devtools.demo_api.records import STREAMS, RecordFormat


@pytest.mark.parametrize("stream", STREAMS)
def test_a_record_is_valid_json_of_about_400_bytes(stream: str) -> None:
    """350 to 400 bytes on average, whatever oddity the text holds."""
    records = [RecordFormat("u001", stream, seed=7).render(number, number, 1) for number in range(1, 1001)]
    assert all(json.loads(record)["author"]["username"] == "u001" for record in records)
    assert 350 <= sum(map(len, records)) / len(records) <= 400


def test_texts_hold_what_careless_code_breaks_on() -> None:
    """NUL, lone surrogates, line separators, emoji: all of them occur."""
    format_ = RecordFormat("u001", "posts", seed=7)
    texts = "".join(json.loads(format_.render(number, number, 1))["message"] for number in range(1, 501))
    assert all(character in texts for character in "\x00\ud83d\u2028\u202e\ufeff\U0001f1e8")


def test_a_new_version_has_the_same_id_and_a_later_time() -> None:
    """A record that moves stays the same record."""
    format_ = RecordFormat("u001", "posts", seed=7)
    before, after = (json.loads(format_.render(5, sequence, version)) for sequence, version in ((5, 1), (90, 2)))
    assert (before["id"], before["created_time"]) == (after["id"], after["created_time"])
    assert before["updated_time"] < after["updated_time"]
    assert (before["version"], after["version"]) == (1, 2)


def test_no_two_users_or_streams_share_an_id() -> None:
    """An id alone says whose record it is."""
    formats = [RecordFormat(user, stream, 7) for user in ("u001", "u002") for stream in STREAMS]
    ids = {format_.record_id(number) for format_ in formats for number in range(1, 3000)}
    assert len(ids) == 4 * 2999


def test_another_seed_gives_other_records() -> None:
    """Otherwise a stale output folder would look right."""
    first, second = (RecordFormat("u001", "posts", seed).render(1, 1, 1) for seed in (7, 8))
    assert first != second

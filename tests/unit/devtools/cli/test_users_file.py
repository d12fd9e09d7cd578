import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devtools.cli.users_file import read_users
from shared.errors import BadInput
from shared.pipeline.loader import load_text
from tests.fakes.world import PIPELINE

SECRET = "tok-3f9a77c1"


def _file(folder: Path, *lines: object) -> Path:
    file = folder / "users.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def test_users_are_read_with_credentials_and_parameters(tmp_path: Path):
    file = _file(
        tmp_path,
        {"user": "ann", "credentials": {"token": SECRET}, "params": {"region": "eu", "size": 5}},
        "",
        {"user": "Jörg/№ 7"},
    )
    users = read_users(file).users
    assert users["ann"].credentials == {"token": SECRET}
    assert users["ann"].params == {"region": "eu", "size": 5}
    assert users["Jörg/№ 7"].credentials == {}


def test_a_user_may_say_when_the_credentials_expire(tmp_path: Path):
    """Without an offset the time is UTC."""
    moment = datetime(2026, 12, 31, 10, tzinfo=UTC)
    file = tmp_path / "users.jsonl"
    file.write_text(
        '{"user": "a", "expires_at": "2026-12-31T11:00:00+01:00"}\n{"user": "b", "expires_at": "2026-12-31T10:00:00"}'
    )
    assert [user.expires_at for user in read_users(file).users.values()] == [moment, moment]


def test_a_user_may_weigh_more_than_others(tmp_path: Path):
    file = tmp_path / "users.jsonl"
    file.write_text('{"user": "a", "weight": 3}\n{"user": "b"}')
    assert [user.weight for user in read_users(file).users.values()] == [3, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{{{SECRET}", 'found no JSON, allowed: {"user": "u01", "credentials": {…}, "params": {…}}'),
        ([SECRET], "found a list, allowed: an object with user, credentials, params"),
        (
            {"user": "a", "token": SECRET},
            "found an unknown key 'token', allowed: user, credentials, params, expires_at, weight",
        ),
        ({"user": "a", "expires_at": "soon"}, "expires_at: found a text, allowed: such as 2026-12-31T00:00:00Z"),
        ({"user": "a", "expires_at": 7}, "expires_at: found a number, allowed: such as 2026-12-31T00:00:00Z"),
        ({"user": "a", "weight": 0}, "weight: found a number, allowed: a whole number from 1 to 50"),
        ({"user": "a", "weight": 51}, "weight: found a number, allowed: a whole number from 1 to 50"),
        ({"user": "a", "weight": 1.5}, "weight: found a number, allowed: a whole number from 1 to 50"),
        ({"user": "a", "weight": True}, "weight: found true or false, allowed: a whole number from 1 to 50"),
        ({"credentials": {}}, "user: found nothing, allowed: a text of 1 to 256 characters"),
        ({"user": 7}, "user: found a number, allowed: a text of 1 to 256 characters"),
        ({"user": ""}, "user: found 0 characters, allowed: a text of 1 to 256 characters"),
        ({"user": "u" * 257}, "user: found 257 characters, allowed: a text of 1 to 256 characters"),
        ({"user": "\ud800"}, "user: found half a surrogate pair, allowed: text that UTF-8 can write"),
        ({"user": "a", "credentials": SECRET}, "credentials: found a text, allowed: an object of texts"),
        (
            {"user": "a", "credentials": {"token": [SECRET]}},
            "credentials.token: found a list, allowed: a text that is not empty",
        ),
        (
            {"user": "a", "credentials": {"token": ""}},
            "credentials.token: found an empty text, allowed: a text that is not empty",
        ),
        ({"user": "a", "params": [1]}, "params: found a list, allowed: an object"),
        (
            {"user": "a", "params": {"x": None}},
            "params.x: found nothing, allowed: a text, a number, true or false",
        ),
    ],
)
def test_a_wrong_line_is_told_by_place_and_never_shows_a_secret(tmp_path: Path, line: object, message: str):
    file = _file(tmp_path, {"user": "first"}, line)
    with pytest.raises(BadInput) as refused:
        read_users(file)
    assert str(refused.value) == f"{file}:2: {message}"
    assert SECRET not in str(refused.value)


def test_a_user_who_stands_twice_is_refused_with_both_places(tmp_path: Path):
    """Which of two credentials would be right, nobody can know."""
    file = _file(tmp_path, {"user": "ann"}, {"user": "ben"}, {"user": "ann"})
    with pytest.raises(BadInput) as refused:
        read_users(file)
    assert str(refused.value) == f"{file}:3: user: found 'ann', which {file}:1 has; allowed: each user once"


def test_every_wrong_line_is_told_at_once(tmp_path: Path):
    with pytest.raises(BadInput) as refused:
        read_users(_file(tmp_path, *["x"] * 25))
    lines = str(refused.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 5 more"


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path):
    with pytest.raises(BadInput, match=r"nobody\.jsonl: found No such file or directory, allowed: a readable file"):
        read_users(tmp_path / "nobody.jsonl")


def test_bytes_that_are_not_utf_8_are_one_clear_line(tmp_path: Path):
    (tmp_path / "users.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="found bytes that are not UTF-8"):
        read_users(tmp_path / "users.jsonl")


def test_an_empty_file_has_no_users(tmp_path: Path):
    with pytest.raises(BadInput, match="found no user, allowed: one"):
        read_users(_file(tmp_path, "", " "))


def test_a_credential_that_a_pipeline_names_must_be_there(tmp_path: Path):
    """Told before anything is started, for every user who lacks it."""
    file = _file(tmp_path, {"user": "ann", "credentials": {"token": SECRET}}, {"user": "ben"})
    with pytest.raises(BadInput) as refused:
        read_users(file).require([load_text(PIPELINE, "social.yaml")])
    assert str(refused.value) == (
        f"{file}:2: user ben: found no credential 'token', allowed: what pipeline social names"
    )

"""Fault files: read, refused with what is allowed, written."""

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.demo_api.fault_file import FaultFileError, fault_file, read_faults
from devtools.demo_api.faults import DEFAULT_FAULTS, NO_FAULTS, Faults


def test_none_and_default_need_no_file() -> None:
    """The two names of the option."""
    assert (read_faults("none"), read_faults("default")) == (NO_FAULTS, DEFAULT_FAULTS)


def test_a_file_says_what_differs_from_no_faults(tmp_path: Path) -> None:
    """What is not named keeps its default."""
    path = tmp_path / "faults.json"
    path.write_text('{"rates": {"reset_midway": 0.5}, "expired_users": 3}')
    assert read_faults(str(path)) == Faults(rates={"reset_midway": 0.5}, expired_users=3)


def test_the_printed_default_reads_as_the_default(tmp_path: Path) -> None:
    """A start for one's own file."""
    path = tmp_path / "faults.json"
    path.write_text(fault_file())
    assert read_faults(str(path)) == DEFAULT_FAULTS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"rates": {"sever_error": 0.1}},
            r"unknown rate 'sever_error'; allowed: throttled_seconds, .*moved_rec",
        ),
        ({"rate": {}}, r"unknown option 'rate'; allowed: rates, expired_users, looping_users"),
        ({"rates": {"server_error": 3}}, r"rate server_error is 3; allowed: a number from 0 to 1"),
        ({"rates": {"server_error": "1"}}, r"rate server_error is '1'; allowed"),
        ({"rates": {"server_error": 0.6, "bad_gateway": 0.6}}, r"1\.2 together; allowed: up to 1"),
        ({"expired_users": -1}, r"expired_users is -1; allowed: a whole number from 0"),
        ({"in_a_row": True}, r"in_a_row is True; allowed: a whole number"),
        ({"slow_drip_seconds": "3"}, r"slow_drip_seconds is '3'; allowed: a number from 0"),
        ({"rates": []}, r"not an object such as"),
        ([], r"not an object such as"),
    ],
)
def test_what_a_file_may_not_say_is_refused_with_what_it_may(tmp_path: Path, content: Any, message: str) -> None:
    """And the message begins with the file."""
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FaultFileError, match=message) as refused:
        read_faults(str(path))
    assert str(refused.value).startswith(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the names that need no file."""
    with pytest.raises(FaultFileError, match=r"gone\.json: No such file .*; allowed: none, default or"):
        read_faults(str(tmp_path / "gone.json"))


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    """With the place where it breaks."""
    path = tmp_path / "faults.json"
    path.write_text('{"rates": ')
    with pytest.raises(FaultFileError, match=r"faults\.json: not JSON: .*line 1 column"):
        read_faults(str(path))

"""The comparison finds what is missing, what is there twice and what does not belong there."""

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.demo_api.comparison import Comparison, compare


def truth(user: str, outcome: str = "complete", stream: str = "posts", **records: int) -> str:
    """A line of the truth in which everything was shown."""
    shown = {} if outcome == "credential" else records
    return json.dumps({"user": user, "stream": stream, "outcome": outcome, "records": records, "shown": shown})


TRUTH = [
    truth("u001", a1=1, a2=2),
    truth("u001", stream="comments", ac=1),
    truth("u002", b1=1),
    truth("u003", outcome="credential", c1=1),
    truth("u004", outcome="cursor_loop", d1=1, d2=1),
]
GOOD = {
    "posts": [("u001", "a1", 1), ("u001", "a2", 1), ("u001", "a2", 2), ("u002", "b1", 1), ("u004", "d1", 1)],
    "comments": [("u001", "ac", 1)],
}


def write(folder: Path, records: dict[str, list[tuple[str, str, int]]], date: str = "2026-11-22") -> None:
    """The records as delivery writes them: one file per stream and date."""
    for stream, rows in records.items():
        path = folder / "demo" / stream / f"date={date}" / "part-1.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            for user, record_id, version in rows:
                added: dict[str, Any] = {"_user": user, "_run": "r", "_page": 1, "_mined_at": "2026-11-22T00:00:00Z"}
                file.write(json.dumps({"id": record_id, "version": version, "text": "\ud83d", **added}) + "\n")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output with nothing wrong."""
    write(tmp_path, GOOD)
    return tmp_path


def counts(comparison: Comparison) -> tuple[int, int, int, int]:
    kinds = (comparison.missing, comparison.duplicated, comparison.foreign, comparison.unreadable)
    return tuple(findings.count for findings in kinds)  # type: ignore[return-value]  # there are four of them


def test_a_right_output_is_clean(output: Path) -> None:
    """Earlier versions may be there, a looping user may lack something, an expired one has nothing."""
    comparison = compare(TRUTH, output)
    assert comparison.clean
    assert (comparison.records, comparison.expected, comparison.users) == (6, 4, 3)
    assert comparison.outcomes == {"complete": 2, "credential": 1, "cursor_loop": 1}


def test_a_latest_version_that_is_not_there_is_missing(tmp_path: Path) -> None:
    """The earlier version does not stand in for it."""
    write(tmp_path, GOOD | {"posts": [row for row in GOOD["posts"] if row != ("u001", "a2", 2)]})
    comparison = compare(TRUTH, tmp_path)
    assert counts(comparison) == (1, 0, 0, 0)
    assert comparison.missing.first == ["u001 posts a2 version 2"]
    assert not comparison.clean


def test_an_empty_output_misses_everything(tmp_path: Path) -> None:
    """Also where there is no folder at all."""
    comparison = compare(TRUTH, tmp_path / "nothing")
    assert counts(comparison) == (4, 0, 0, 0)


@pytest.mark.parametrize("row", [("u001", "a1", 1), ("u004", "d1", 1)])
def test_the_same_version_again_is_duplicated(output: Path, row: tuple[str, str, int]) -> None:
    """Also on another date, and for the looping user."""
    write(output, {"posts": [row]}, date="2026-11-23")
    comparison = compare(TRUTH, output)
    assert counts(comparison) == (0, 1, 0, 0)
    assert comparison.duplicated.first[0].startswith(f"{row[0]} posts {row[1]} version 1 (demo/posts/date=2026-11-23")


@pytest.mark.parametrize(
    ("stream", "row", "reason"),
    [
        ("posts", ("u002", "a1", 1), "not a record of this user"),
        ("posts", ("u001", "invented", 1), "not a record of this user"),
        ("posts", ("u999", "a1", 1), "not a record of this user"),
        ("comments", ("u001", "a1", 1), "not a record of this user"),
        ("likes", ("u001", "a1", 1), "not a record of this user"),
        ("posts", ("u001", "a1", 2), "never shown to this user"),
        ("posts", ("u003", "c1", 1), "never shown to this user"),
        ("posts", ("u004", "b1", 1), "not a record of this user"),
    ],
)
def test_what_a_user_does_not_own_or_never_saw_is_foreign(
    output: Path, stream: str, row: tuple[str, str, int], reason: str
) -> None:
    """Another user's, an unknown one, in another stream, in a version that does not exist, without a token."""
    write(output, {stream: [row]}, date="2026-11-23")
    comparison = compare(TRUTH, output)
    assert counts(comparison) == (0, 0, 1, 0)
    assert reason in comparison.foreign.first[0]


@pytest.mark.parametrize("line", ['{"id": "a1", "vers', '{"id": "a1", "version": 1}', "[]", ""])
def test_a_line_that_is_not_a_record_is_unreadable(output: Path, line: str) -> None:
    """Torn, without its user, or no object: named by file and line."""
    path = output / "demo" / "posts" / "date=2026-11-23" / "torn.jsonl"
    path.parent.mkdir()
    path.write_text(line + "\n")
    comparison = compare(TRUTH, output)
    assert counts(comparison) == (0, 0, 0, 1)
    assert comparison.unreadable.first[0].startswith("demo/posts/date=2026-11-23/torn.jsonl:1: ")


def test_only_the_first_ten_findings_are_listed(tmp_path: Path) -> None:
    """All are counted."""
    lines = [truth("u001", **{f"r{number}": 1 for number in range(25)})]
    comparison = compare(lines, tmp_path)
    assert comparison.missing.count == 25
    assert len(comparison.missing.first) == 10
    assert "missing: 25" in str(comparison)
    assert "… and 15 more" in str(comparison)

"""What a run would ask for, told beforehand."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.cli.app import app
from devtools.cli.plan import Planned, planned_run
from shared.errors import BadInput
from shared.pipeline.loader import load_text
from shared.pipeline.marks import mark_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = """
pipeline: shop
source: { base_url: "https://api.example.com/v1", auth: { type: none } }
streams:
  - name: whole
    page_size: { param: limit, value: 100 }
    pages_per_message: 10
    paginator: { type: page_number }
  - name: windowed
    incremental: { cursor_path: at, start_param: from, end_param: to, initial_value: 2026-02-27T18:00:00Z }
    windows: { type: fixed, size: 1d }
    parallel: { strategy: time_windows, max_concurrent: 2 }
    paginator: { type: single_page }
  - name: counted
    paginator: { type: offset, limit: 100, total_path: total }
    parallel: { strategy: calculated_offsets, records_per_slice: 500 }
  - name: paged
    paginator: { type: page_number }
    parallel: { strategy: known_pages, pages: 45, pages_per_slice: 10, max_concurrent: 3 }
  - name: fed
    path: /{parent.id}
    paginator: { type: single_page }
    parent: { stream: whole, input_mapping: { id: id }, processing_mode: parallel, max_concurrent: 5 }
"""
STREAMS = {stream.name: stream for stream in load_text(FILE, "shop.yaml").streams}


def planned(name: str, records: int | None = None, since: str = "") -> Planned:
    return planned_run(STREAMS[name], mark_of(since, "iso") if since else "", NOW, records)


def test_a_whole_stream_is_one_slice_whose_calls_follow_from_its_page_size():
    found = planned("whole", records=2450)
    assert (found.slices, found.at_least, found.calls, found.messages) == (1, 1, 25, 3)
    assert planned("whole").calls is None


def test_windows_are_those_that_a_run_would_have():
    found = planned("windowed")
    assert (found.slices, found.at_least, found.at_a_time) == (3, 3, 2)
    assert found.first[0] == "2026-02-27T18:00:00Z to 2026-02-28T00:00:00Z"
    assert planned("windowed", since="2026-03-01T06:00:00Z").first == ["2026-03-01T06:00:00Z to 2026-03-01T12:00:00Z"]


def test_what_the_first_answer_cuts_is_known_with_the_number_of_records():
    assert (planned("counted").slices, planned("counted").at_least) == (None, 1)
    assert (planned("counted", records=1201).slices, planned("counted", records=1201).calls) == (3, 13)
    found = planned("paged")
    assert (found.slices, found.at_least, found.calls, found.at_a_time) == (5, 45, 45, 3)


def test_what_a_parent_feeds_depends_on_its_records():
    found = planned("fed")
    assert (found.slices, found.a_slice_is, found.at_a_time, found.at_least) == (None, "a record of whole", 5, 0)


def test_the_command_shows_all_streams_and_multiplies_by_users(tmp_path: Path):
    file = tmp_path / "shop.yaml"
    file.write_text(FILE)
    shown = CliRunner().invoke(app, ["plan", str(file), "--records", "1000", "--users", "200"])
    assert shown.exit_code == 0
    assert "windowed slice 1: 2026-02-27T18:00:00Z to 2026-02-28T00:00:00Z" in shown.output
    assert "200 users: " in shown.output
    told = json.loads(CliRunner().invoke(app, ["plan", str(file), "--stream", "paged", "--json"]).output)
    assert [each["stream"] for each in told["streams"]] == ["paged"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stream", "carts"], "--stream: found 'carts', allowed: a stream of "),
        (["--since", "yesterday"], "--since: found 'yesterday', allowed: a mark of windowed, of format iso"),
    ],
)
def test_bad_input_says_what_is_allowed(tmp_path: Path, arguments: list[str], message: str):
    file = tmp_path / "shop.yaml"
    file.write_text(FILE)
    refused = CliRunner().invoke(app, ["plan", str(file), *arguments])
    assert isinstance(refused.exception, BadInput)
    assert message in str(refused.exception)

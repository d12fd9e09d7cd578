"""What the benchmark says of a program is what that program did."""

import dataclasses
import sys
from pathlib import Path

import pytest

from bench.__main__ import Work
from bench.peers.contenders import CONTENDERS, Contender
from bench.peers.measuring import Measured, measure
from bench.peers.report import revoked_table, table

WORK = Work(users=3, pages=2, records=5)
AIOHTTP = CONTENDERS[0]


def test_a_program_is_measured_while_it_mines_everything(tmp_path: Path):
    """Two users with a connection each, and one who waits; pages, CPU, memory and records of that one process."""
    contender = dataclasses.replace(AIOHTTP, parallel=("2", "2"))
    measured = measure(contender, Path(sys.executable), WORK, 0, tmp_path, "")
    assert (measured.exit_status, measured.pages, measured.records) == (0, 6, 30)
    assert measured.cpu_ms > 0
    assert measured.rss_mb > 5


def test_a_revoked_token_is_refused(tmp_path: Path):
    """Only that user's records are missing."""
    measured = measure(AIOHTTP, Path(sys.executable), WORK, 0, tmp_path, "token-1")
    assert measured.records == 20
    assert "20 of 20" in revoked_table([measured], WORK)


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_every_contender_has_its_program_and_pinned_environment(contender: Contender):
    program = Path(contender.arguments("http://127.0.0.1:1", 1, Path("output"), 0)[0])
    assert program.is_file()
    wanted = contender.requirements.read_text().split()
    assert wanted
    assert all("==" in each for each in wanted)


def test_the_table_compares_with_ours_at_the_same_latency():
    ours = Measured("Headframe, 10 pages a message", 0, 6, 2.0, 2.0, 90, 30, 0, {"host": 1.25})
    theirs = dataclasses.replace(ours, name="theirs", cpu_ms=5.0, records=25, beside={})
    slower = dataclasses.replace(ours, latency_ms=100, cpu_ms=4.0)
    lines = table([theirs, ours, slower], WORK).splitlines()[2:]
    assert lines[0] == "| 0 ms | theirs | 2.0 | 3 | 5.0 | – | 90 | 25 | 2.5 |"
    assert lines[1].endswith("| 2.0 | host 1.2 | 90 | all | 1.0 |")
    assert lines[2].endswith("| 1.0 |")

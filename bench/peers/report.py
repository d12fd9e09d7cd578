"""What was measured, as a table and a chart."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.__main__ import Work
from bench.peers.measuring import OURS, Measured, environment
from devtools.places import ROOT

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance"
BEGIN, END = "<!-- measured by make bench-peers -->", "<!-- end -->"
CHARTED = Path(__file__).parent / "programs" / "chart.py"


def table(found: Sequence[Measured], work: Work) -> str:
    """Markdown: a row for each run; ratios are to the run of ours with most pages a message at the same latency."""
    lines = [
        "| API latency | who | wall s | pages/s | CPU ms a page | beside | peak RSS MB | records | CPU, times ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        best = min(
            (other.cpu_ms for other in found if _is_ours(other) and other.latency_ms == each.latency_ms), default=0
        )
        beside = ", ".join(f"{part} {ms:.1f}" for part, ms in each.beside.items()) or "–"
        ratio = f"{each.cpu_ms / best:.1f}" if best else "–"
        lines.append(
            f"| {each.latency_ms:.0f} ms | {each.name} | {each.wall:.1f} | {each.pages / each.wall:.0f} "
            f"| {each.cpu_ms:.1f} | {beside} | {each.rss_mb:.0f} | {_delivered(each, work)} | {ratio} |"
        )
    return "\n".join(lines) + "\n"


def revoked_table(found: Sequence[Measured], work: Work) -> str:
    """Markdown: what each delivers of the others when one user's token is refused."""
    others = (work.users - 1) * work.pages * work.records
    lines = ["| who | records of the other users | exit status |", "|---|---|---|"]
    told = (each for each in found if each.records is not None)
    lines += [f"| {each.name} | {each.records:,} of {others:,} | {each.exit_status} |" for each in told]
    return "\n".join(lines) + "\n"


def write(text: str, found: Sequence[Measured]) -> None:
    """Into docs/performance.md, between its marks, and the chart beside it."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END, 1)[1]}")
    python = environment(Path(__file__).parent / "requirements" / "chart.txt")
    rows = json.dumps([each.as_dict() for each in found])
    subprocess.run([python, CHARTED, str(CHART)], input=rows, text=True, check=True)


def _is_ours(each: Measured) -> bool:
    return each.name.startswith(OURS)


def _delivered(each: Measured, work: Work) -> str:
    if each.records is None:
        return "not yet"
    return "all" if each.records == work.users * work.pages * work.records else f"{each.records:,}"

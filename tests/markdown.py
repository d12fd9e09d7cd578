"""Reads the parts of Markdown that the docs' tests look at: headings, fenced blocks, tables, code and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
TABLE = re.compile(r"^\|.*\|\n\|(?:-+\|)+\n(?:\|.*\|\n?)*", re.MULTILINE)
CELL_BORDER = re.compile(r"(?<!\\)\|")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block, and the heading it stands under."""

    heading: str
    language: str
    text: str


@dataclass(frozen=True)
class Table:
    heading: str
    columns: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        return [row[self.columns.index(name)] for row in self.rows]


def blocks(page: str) -> list[Block]:
    return [Block(_heading_over(page, found.start()), found[1], found[2]) for found in FENCE.finditer(page)]


def tables(page: str) -> list[Table]:
    return list(_tables(FENCE.sub(_blanked, page)))


def table(page: str, heading: str, number: int = 0) -> Table:
    """The table, or one of several, that stands under this heading. Fails when there is none."""
    under = [each for each in tables(page) if each.heading == heading]
    assert len(under) > number, f"found no table under the heading {heading!r}"
    return under[number]


def code(text: str) -> list[str]:
    """What stands between backticks, outside of fenced blocks."""
    return CODE.findall(FENCE.sub("", text))


def links(page: str) -> list[str]:
    return LINK.findall(FENCE.sub("", page))


def anchors(page: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _tables(page: str) -> Iterator[Table]:
    for found in TABLE.finditer(page):
        columns, _, *rows = [_cells(line) for line in found[0].splitlines()]
        yield Table(_heading_over(page, found.start()), columns, rows)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in CELL_BORDER.split(line)[1:-1]]


def _heading_over(page: str, place: int) -> str:
    headings = HEADING.findall(FENCE.sub(_blanked, page)[:place])
    return str(headings[-1]).replace("`", "") if headings else ""


def _blanked(found: re.Match[str]) -> str:
    """As long as the block, so that places stay where they are."""
    return re.sub(r"[^\n]", " ", found[0])

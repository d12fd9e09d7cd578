"""Standard output holds results and nothing else; everything said meanwhile goes to standard error."""

import sys
from typing import TextIO

from rich.console import Console

PIPE_WIDTH = 200
"""Characters; a file or a pipe has no width of its own, and rows cut at 80 serve nobody."""


def results(file: TextIO | None = None) -> Console:
    """Text is shown as it is: what a source said, or a user is called, must not be taken for formatting."""
    file = file or sys.stdout
    return Console(file=file, width=None if file.isatty() else PIPE_WIDTH, markup=False, highlight=False, emoji=False)


def messages() -> Console:
    return Console(stderr=True)


def say(line: str) -> None:
    """One line for whoever waits."""
    print(line, file=sys.stderr, flush=True)

"""Files that hold secrets or state: either the old text or the new one, readable by their owner only."""

import os
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    unfinished = file.with_name(file.name + ".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    unfinished.replace(file)

"""The file that tells other programs of this machine that the host is ready, where and as which processes."""

import json
import os
from collections.abc import Sequence
from pathlib import Path


class ReadyFile:
    """`{"port": …, "pid": …, "workers": […]}`, replaced as a whole, there only while the host is ready.

    Without a path it does nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.remove()

    def write(self, port: int, workers: Sequence[int]) -> None:
        if self._path is not None:
            unfinished = self._path.with_name(self._path.name + ".new")
            unfinished.write_text(json.dumps({"port": port, "pid": os.getpid(), "workers": list(workers)}) + "\n")
            unfinished.replace(self._path)

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

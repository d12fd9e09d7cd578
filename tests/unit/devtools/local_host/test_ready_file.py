"""The ready file."""

import json
import os
from pathlib import Path

from devtools.local_host.ready_file import ReadyFile


def test_it_is_there_only_between_write_and_remove(tmp_path: Path):
    """One left over by a killed host goes at once: nobody may take the dead one for ready."""
    path = tmp_path / "ready.json"
    path.write_text("left over")
    ready = ReadyFile(path)
    assert not path.exists()
    ready.write(7071, [11, 12])
    assert json.loads(path.read_text()) == {"port": 7071, "pid": os.getpid(), "workers": [11, 12]}
    ready.remove()
    assert list(tmp_path.iterdir()) == []

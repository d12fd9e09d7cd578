"""Makes the clock of a worker process read what a file says: so many seconds ahead, or behind.

Python imports this at its start where the folder is on its path. Nothing of the app knows.
"""

import datetime
import os
import sys
import time
from pathlib import Path

LOOKS_AT_MOST_EVERY = 0.2
"""Seconds, by the clock that nobody moves."""

FILE = os.environ.get("CLOCK_OFFSET_FILE")
_known = [0.0, float("-inf")]


def _offset() -> float:
    now = time.monotonic()
    if now - _known[1] > LOOKS_AT_MOST_EVERY:
        try:
            _known[:] = [float(Path(str(FILE)).read_text()), now]
        except (OSError, ValueError):
            _known[1] = now
    return _known[0]


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Datetime":
        return super().now(tz) + datetime.timedelta(seconds=_offset())

    @classmethod
    def utcnow(cls) -> "_Datetime":
        return super().utcnow() + datetime.timedelta(seconds=_offset())


if FILE and "devtools.local_host.worker" in sys.orig_argv:
    _real_time = time.time
    time.time = lambda: _real_time() + _offset()
    datetime.datetime = _Datetime  # type: ignore[misc]  # whoever imports it from now on has this one

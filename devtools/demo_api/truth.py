"""What a perfect extraction has in its output, as JSON Lines: one line per user and stream.

    {"user": "u001", "stream": "posts", "outcome": "complete",
     "records": {"100000000001_4100000000001": 1, …}, "shown": {"100000000001_4100000000001": 1, …}}

`records` holds the latest version of each record. `shown` holds the newest version that went out to this
user; the versions before it went out too, versions above it never did. `outcome` says how mining has to end:
`complete`, `credential` (always refused: nothing shown) or `cursor_loop` (never ends by itself).
"""

import json
from collections.abc import Iterator

from devtools.demo_api.catalogue import Catalogue


def truth_lines(catalogue: Catalogue) -> Iterator[str]:
    """The truth as it is now, line by line. Records move while they are read: ask for it after the mining."""
    for (user, name), stream in catalogue.streams.items():
        line = {
            "user": user,
            "stream": name,
            "outcome": catalogue.outcome(user),
            "records": stream.latest_versions(),
            "shown": stream.shown_versions(),
        }
        yield json.dumps(line, separators=(",", ":"))

"""What a server has answered so far, for `/stats`."""

import json
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Stats:
    """What was answered so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    limited: int = 0
    pages: int = 0
    records: int = 0

    def as_json(self) -> str:
        """`requests`, `pages`, `records`, `limited` in total; `statuses`, `faults` and `calls` by name."""
        counted = {name: dict(sorted(getattr(self, name).items())) for name in ("statuses", "faults", "calls")}
        totals = {"pages": self.pages, "records": self.records, "limited": self.limited}
        return json.dumps({"requests": self.statuses.total(), **totals, **counted}, indent=1)

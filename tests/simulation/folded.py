"""Workloads whose dedupe indexes are folded after every run."""

from tests.simulation.limited import OFFSETS
from tests.simulation.workload import Workload

FOLDS = (("INDEX_ROWS", "1"),)
SOON = (*FOLDS, ("DELIVERY_RECORDS", "2"))
WINDOWS = "{ type: fixed, size: 4h }"

FOLDED: tuple[Workload, ...] = (
    Workload("folded", users=1, runs=4, written=3, settings=FOLDS),
    Workload("folded, no new content", users=1, runs=3, written=3, emit="new", settings=SOON),
    Workload("folded, moving", users=1, records=7, runs=3, moving=0.5, settings=SOON, processes=3),
    Workload(
        "folded, newest first, cancelled",
        users=2,
        records=7,
        runs=4,
        written=5,
        incremental=True,
        newest_first=True,
        settings=FOLDS,
        events=("runs are cancelled",),
    ),
    Workload("folded, side by side", users=1, records=11, runs=3, kinds=("offset",), parallel=OFFSETS, settings=SOON),
    Workload(
        "folded, left out",
        users=1,
        records=7,
        runs=3,
        written=3,
        incremental=True,
        windows=WINDOWS,
        leaves_out=True,
        expiring=0.3,
        settings=FOLDS,
    ),
    Workload("folded, chained", users=1, records=4, runs=3, written=3, chained=1, settings=FOLDS),
)

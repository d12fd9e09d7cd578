"""Workloads under limits, blocks and breakers."""

from tests.simulation.workload import Workload

SEVERAL = (("PAGES_PER_MESSAGE", "3"),)
"""Pages that are mined and committed together."""
TWO_TRIES = (("QUICK_RETRIES", "2"),)
"""Within one message."""
OFFSETS = "{ strategy: calculated_offsets, records_per_slice: 2, max_concurrent: 3 }"
SIDE_BY_SIDE = "processing_mode: parallel, max_concurrent: 3"

TIGHT = "{ per: app, requests: 5, span: 30s }"
FOR_ALL_AND_EACH = "{ per: app, requests: 9, span: 20s }, { per: user, requests: 2, span: 30s }"
ONE_AT_A_TIME = "{ per: user, concurrent: 1 }, { per: app, concurrent: 3 }"
OF_A_STREAM = "{ per: app, requests: 20, span: 10s }, { per: app, requests: 2, span: 1m, streams: [offset] }"
ALL_LIMITS = (TIGHT, FOR_ALL_AND_EACH, ONE_AT_A_TIME)
"""Those that any workload can be under."""

LIMITED: tuple[Workload, ...] = (
    Workload("limits", users=3, records=9, limits=TIGHT, processes=3),
    Workload("limits, several pages a message", users=4, records=13, limits=TIGHT, settings=SEVERAL, processes=3),
    Workload("limits, a user of weight", users=3, records=9, heavy=3, limits=TIGHT, processes=3, written=3, runs=2),
    Workload("limits, clocks apart", users=4, records=7, size=1, limits=TIGHT, skew=20),
    Workload("limits of all and each", users=3, records=7, limits=FOR_ALL_AND_EACH, processes=3, late=0.2),
    Workload("limits at a time", records=7, limits=ONE_AT_A_TIME, kinds=("cursor", "offset"), processes=3),
    Workload("limits of a stream", records=7, limits=OF_A_STREAM, kinds=("cursor", "offset"), trouble=0.1),
    Workload(
        "limits and slices side by side",
        records=11,
        kinds=("offset",),
        parallel=OFFSETS,
        limits=FOR_ALL_AND_EACH,
        processes=3,
    ),
    Workload(
        "limits and chains",
        users=1,
        records=4,
        chained=1,
        chained_mode=SIDE_BY_SIDE,
        limits=FOR_ALL_AND_EACH,
        events=("stop and go",),
    ),
    Workload("sizes", records=23, adaptive=6, kinds=("cursor", "offset"), runs=2, written=4, processes=3),
    Workload("sizes, several pages a message", records=23, adaptive=5, settings=SEVERAL, trouble=0.1),
    Workload("blocks", users=3, records=9, kinds=("cursor", "offset"), blocking=0.1, processes=3),
    Workload("blocks and limits", users=3, records=9, blocking=0.1, limits=TIGHT, settings=SEVERAL, processes=3),
    Workload("breakers", users=4, records=9, trouble=0.5, kinds=("cursor", "offset"), settings=TWO_TRIES),
)

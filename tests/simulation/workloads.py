"""What simulations mine, in what weather. Later work joins with a line."""

import random
from dataclasses import replace

from tests.simulation.climates import CLIMATES
from tests.simulation.events import EVENTS
from tests.simulation.folded import FOLDED
from tests.simulation.invariants import INVARIANTS
from tests.simulation.limited import ALL_LIMITS, LIMITED, OFFSETS, SEVERAL, SIDE_BY_SIDE
from tests.simulation.merged import MERGED
from tests.simulation.simulation import Simulation
from tests.simulation.weather import Climate
from tests.simulation.workload import BY_POSITION, PAGINATORS, Workload

EAGER = (("DELIVERY_RECORDS", "2"),)
"""An object for nearly every page."""
PAIRS = (("DELIVERY_RECORDS", "3"),)
"""An object for every other page."""

ON_TIME = (("SCHEDULES", "cron"),)
"""Turns and hours are kept to."""

STAGGER = "stagger: 30m"
HOURS = 'off_peak: { from: "13:00", until: "13:20", time_zone: Europe/Berlin }'
"""From the beginning on for nearly twenty minutes, and so every day."""
HOURS_IN_TURN = "stagger: 10m\n" + HOURS

WINDOWS = "{ type: fixed, size: 4h }"
SESSIONS = "{ type: session, gap: 150m }"
PAGES = "{ strategy: known_pages, pages: 4, pages_per_slice: 1, max_concurrent: 2 }"
IN_WINDOWS = "{ strategy: time_windows, max_concurrent: 2 }"
SPLIT = "{ type: global, split: { at: 3 } }"

BATCHES = "processing_mode: parallel, max_concurrent: 2, batch_size: 3"

WORKLOADS: tuple[Workload, ...] = (
    Workload("plain"),
    Workload("eager delivery", settings=EAGER, processes=3),
    Workload("two pages an object", records=9, settings=PAIRS, processes=3),
    Workload("several pages a message", records=13, settings=SEVERAL, processes=3),
    Workload("several pages a message, no reconciler", records=9, users=1, settings=SEVERAL, reconciler=False),
    Workload("several pages a message, moving", records=5, users=1, moving=0.5, emit="new", settings=SEVERAL),
    Workload("several pages a message, trouble", records=11, trouble=0.3, large_pages=True, settings=SEVERAL),
    Workload("several pages a message, tokens", records=11, auth="refresh", early=0.3, trouble=0.1, settings=SEVERAL),
    Workload("several pages a message, stop and go", records=15, settings=(*SEVERAL, *EAGER), events=("stop and go",)),
    Workload(
        "several pages a message, windows and chains",
        users=1,
        records=9,
        runs=2,
        written=3,
        incremental=True,
        windows=WINDOWS,
        chained=1,
        settings=SEVERAL,
    ),
    Workload("no primary key", primary_key=False, settings=EAGER, processes=3),
    Workload("one page", users=4, records=2, size=2),
    Workload("no records", records=0),
    Workload("many users", users=8, records=3),
    Workload("long runs side by side", users=3, records=26, processes=1, settings=EAGER),
    Workload("moving records", users=1, records=7, moving=0.6),
    Workload("moving records, eager delivery", users=1, records=7, moving=0.6, settings=EAGER, processes=3),
    Workload("records move and vanish", users=1, records=9, moving=0.4, deleting=0.4),
    Workload("two runs", users=1, runs=2),
    Workload("incremental", users=2, runs=3, written=3, incremental=True),
    Workload(
        "incremental, moving and cancelled",
        users=2,
        records=6,
        runs=3,
        moving=0.3,
        written=3,
        incremental=True,
        events=("runs are cancelled",),
    ),
    Workload("incremental links", users=1, runs=3, written=3, incremental=True, kinds=("json_link", "header_link")),
    Workload(
        "incremental, newest first, cancelled",
        users=2,
        records=7,
        runs=3,
        written=5,
        incremental=True,
        newest_first=True,
        events=("runs are cancelled",),
    ),
    Workload("windows", users=2, records=9, runs=2, written=3, incremental=True, windows=WINDOWS),
    Workload("windows of links", users=1, records=9, incremental=True, windows=WINDOWS, kinds=("json_link",)),
    Workload(
        "windows, moving and cancelled",
        users=2,
        records=9,
        runs=2,
        moving=0.3,
        written=3,
        incremental=True,
        windows=WINDOWS,
        events=("runs are cancelled",),
    ),
    Workload("windows that show no more", records=9, incremental=True, most=3, windows=SPLIT, processes=3),
    Workload(
        "windows that slide", users=1, records=9, incremental=True, windows="{ type: sliding, size: 12h, overlap: 3h }"
    ),
    Workload("sessions", users=2, records=9, runs=3, written=4, incremental=True, windows=SESSIONS),
    Workload(
        "sessions, cancelled",
        records=11,
        runs=3,
        written=4,
        incremental=True,
        windows=SESSIONS,
        settings=SEVERAL,
        events=("runs are cancelled",),
    ),
    Workload("windows left out", users=1, records=7, incremental=True, windows=WINDOWS, leaves_out=True, expiring=0.3),
    *LIMITED,
    *FOLDED,
    *MERGED,
    Workload("offsets side by side", records=11, kinds=("offset",), parallel=OFFSETS, processes=3),
    Workload("offsets side by side, moving", records=11, kinds=("offset",), parallel=OFFSETS, moving=0.3, runs=2),
    Workload(
        "offsets side by side, failing", records=11, kinds=("offset",), parallel=OFFSETS, trouble=0.2, processes=3
    ),
    Workload("offsets side by side without a key", kinds=("offset",), records=9, parallel=OFFSETS, primary_key=False),
    Workload(
        "offsets side by side, cancelled",
        records=11,
        runs=2,
        kinds=("offset",),
        parallel=OFFSETS,
        events=("runs are cancelled",),
    ),
    Workload("pages side by side", records=11, kinds=("page_number",), parallel=PAGES, processes=3, settings=EAGER),
    Workload(
        "windows side by side",
        records=9,
        runs=2,
        written=3,
        incremental=True,
        windows=WINDOWS,
        parallel=IN_WINDOWS,
        processes=3,
    ),
    Workload(
        "windows side by side, cancelled",
        records=9,
        runs=3,
        written=3,
        incremental=True,
        windows=WINDOWS,
        parallel=IN_WINDOWS,
        events=("runs are cancelled",),
    ),
    Workload(
        "windows side by side, left out",
        records=9,
        incremental=True,
        windows=WINDOWS,
        parallel=IN_WINDOWS,
        leaves_out=True,
        expiring=0.3,
        processes=3,
    ),
    Workload("chained", records=4, chained=1),
    Workload("chained, several deep", users=1, records=3, runs=2, chained=2, settings=EAGER, processes=3),
    Workload("chained, side by side", records=4, chained=2, chained_mode=SIDE_BY_SIDE, processes=3),
    Workload("chained in batches", records=7, chained=1, chained_mode=BATCHES, processes=3),
    Workload("chained, run after run", users=1, records=3, runs=4, written=2, chained=1, emit="all", processes=3),
    Workload(
        "chained, incremental and cancelled",
        users=2,
        records=4,
        runs=3,
        written=3,
        incremental=True,
        chained=1,
        chained_mode=SIDE_BY_SIDE,
        events=("runs are cancelled",),
    ),
    Workload("chained below strands", records=7, kinds=("offset",), parallel=OFFSETS, chained=1, processes=3),
    Workload("chained, moving", users=1, records=5, moving=0.4, deleting=0.3, chained=1, kinds=("json_link",)),
    Workload("chained, failing", records=4, trouble=0.25, chained=2, events=("a user pauses",)),
    Workload("chained, no reconciler", reconciler=False, users=1, records=3, chained=2, processes=3),
    Workload(
        "newest first, cancelled",
        users=2,
        records=7,
        runs=3,
        written=2,
        newest_first=True,
        events=("runs are cancelled",),
    ),
    Workload("two runs of moving records", users=1, runs=2, moving=0.5),
    Workload("emit all, moving", users=1, records=6, runs=2, moving=0.5, emit="all"),
    Workload("emit new, moving", users=1, records=6, runs=2, moving=0.5, emit="new"),
    Workload("little memory", users=3, records=7, runs=2, cache_entries=3, settings=EAGER),
    Workload("trouble at the source", trouble=0.3),
    Workload("pauses behind pages", users=3, records=9, pausing=0.5),
    Workload(
        "pauses behind pages, windows side by side",
        records=9,
        pausing=0.5,
        incremental=True,
        windows=WINDOWS,
        parallel=IN_WINDOWS,
        processes=3,
    ),
    Workload("ragged pages", ragged=0.4, records=6),
    Workload("every kind of pagination", users=1, kinds=tuple(PAGINATORS)),
    Workload("next link in the body", kinds=("json_link",)),
    Workload("next link in the header", kinds=("header_link",), ragged=0.2),
    Workload("next parameters in the body", kinds=("next_query",), ragged=0.2, moving=0.2),
    Workload("next link leads away", kinds=("json_link",), away=0.2),
    Workload("counted pages, moving", users=1, records=8, kinds=("page_number", "offset"), moving=0.3, deleting=0.2),
    Workload("cursors expire", expiring=0.1, users=3),
    Workload("cursors go in circles", users=4, records=6, looping=2),
    Workload("three priorities", users=2, priorities=("high", "normal", "low")),
    Workload("a refused credential", users=3, refused=1),
    Workload("credentials rotate", users=3, records=7, events=("credentials rotate",)),
    Workload("credentials rotate, messages lost", users=6, records=3, runs=2, lost=0.4, events=("credentials rotate",)),
    Workload("a credential dies", users=3, records=7, events=("a credential dies",)),
    Workload("tokens rotate", auth="refresh", users=2, records=7, processes=3),
    Workload("tokens rotate, several streams", auth="refresh", kinds=("cursor", "json_link", "offset"), processes=3),
    Workload("tokens for clients", auth="client", kinds=("cursor", "header_link"), priorities=("high", "low")),
    Workload("tokens end early", auth="refresh", records=7, runs=3, trouble=0.3, token_life=7200, early=0.3),
    Workload("trouble at the token endpoint", auth="refresh", users=3, records=7, token_trouble=0.3),
    Workload("a refresh token is refused", auth="refresh", users=3, refused=1),
    Workload("a refresh token dies", auth="refresh", users=3, records=9, events=("a credential dies",)),
    Workload("refresh tokens are replaced", auth="refresh", users=3, records=9, events=("credentials rotate",)),
    Workload("tokens rotate, clocks jump", auth="refresh", records=9, token_life=900, events=("clocks jump",)),
    Workload("tokens rotate, clocks off", auth="refresh", records=7, skew=300, processes=3),
    Workload("no reconciler, tokens rotate", auth="refresh", users=1, reconciler=False, processes=3),
    Workload("stop and go", records=7, events=("stop and go",)),
    Workload("a user pauses", records=7, events=("a user pauses",)),
    Workload("runs are cancelled", records=7, settings=EAGER, events=("runs are cancelled",)),
    Workload("clocks jump", records=7, events=("clocks jump", "stop and go")),
    Workload("clocks five minutes off", skew=300),
    Workload("large pages", large_pages=True, settings=EAGER),
    Workload("two outputs", records=7, second=True),
    Workload("two outputs, eager delivery", records=7, runs=3, emit="all", second=True, settings=EAGER, processes=3),
    Workload(
        "two outputs, one patient", records=9, second=True, patient=True, settings=EAGER, trouble=0.2, processes=3
    ),
    Workload("duplicates from the broker", duplicate=0.2),
    Workload("messages lost", lost=0.1, users=1),
    Workload("most messages lost", lost=0.7, users=1, records=3, processes=1),
    Workload("messages lost, run after run", lost=0.3, users=1, runs=4),
    Workload("runs close together", users=1, records=3, runs=5, emit="all", processes=3),
    Workload("messages expire", users=2, records=3, expired=0.15, priorities=("high", "normal", "low")),
    Workload("messages hours late", late=0.1, users=1),
    Workload("in turn", users=4, pacing=STAGGER, settings=ON_TIME),
    Workload("in turn, run after run", users=3, runs=3, pacing=STAGGER, settings=ON_TIME, processes=3),
    Workload("in turn, messages lost", users=3, pacing=STAGGER, settings=ON_TIME, lost=0.2, duplicate=0.2),
    Workload("in turn, cancelled", users=3, pacing=STAGGER, settings=ON_TIME, events=("runs are cancelled",)),
    Workload("off peak", users=3, records=9, trouble=0.3, pacing=HOURS, settings=ON_TIME),
    Workload("off peak in turn", users=4, records=9, trouble=0.2, pacing=HOURS_IN_TURN, settings=ON_TIME, lost=0.1),
    Workload(
        "off peak, windows side by side",
        records=9,
        incremental=True,
        windows=WINDOWS,
        parallel=IN_WINDOWS,
        trouble=0.2,
        pacing=HOURS_IN_TURN,
        settings=ON_TIME,
        processes=3,
    ),
    Workload("no reconciler, in turn", reconciler=False, users=3, pacing=STAGGER, settings=ON_TIME),
    Workload("no reconciler", reconciler=False, users=1, processes=3),
    Workload("no reconciler, trouble", reconciler=False, users=1, trouble=0.3),
    Workload("no reconciler, eager delivery", reconciler=False, users=1, settings=EAGER),
    Workload("no reconciler, messages expire", reconciler=False, users=1, expired=0.1, settings=EAGER),
)

CROWDS: tuple[Workload, ...] = (
    Workload("fifty users", users=50, records=3, processes=4),
    Workload("twenty users of all kinds", users=20, records=3, kinds=("cursor", "offset"), trouble=0.1, processes=4),
)
"""These take their time, so they come less often."""

MIXED = 3
"""One seed of so many draws a workload and a climate of its own."""

CROWDED = 100
"""One seed of so many mines for many users."""


def chosen(seed: int) -> tuple[Workload, Climate]:
    """Every workload meets every climate in turn, and in between everything is mixed."""
    if seed % CROWDED == 0:
        number = seed // CROWDED
        return CROWDS[number % len(CROWDS)], CLIMATES[number // len(CROWDS) % len(CLIMATES)]
    if seed % MIXED == 0:
        return mixed(random.Random(f"{seed} mixture"))
    number = seed - seed // MIXED - 1
    return WORKLOADS[number % len(WORKLOADS)], CLIMATES[number // len(WORKLOADS) % len(CLIMATES)]


def mixed(rng: random.Random) -> tuple[Workload, Climate]:
    """A workload and a climate of nobody's choice."""

    def some(most: float, often: float = 0.25) -> float:
        return rng.random() * most if rng.random() < often else 0.0

    users = rng.choice((1, 1, 2, 2, 3, 4, 6))
    kinds = tuple(rng.sample(sorted(PAGINATORS), rng.choice((1, 1, 1, 2))))
    workload = Workload(
        "mixed",
        users=users,
        records=rng.choice((0, 1, 3, 5, 7, 9)),
        size=rng.choice((1, 2, 3, 5)),
        runs=rng.choice((1, 1, 2)),
        kinds=kinds,
        priorities=tuple(rng.sample(("high", "normal", "low"), rng.choice((1, 1, 1, 2)))),
        processes=rng.choice((1, 2, 3, 4)),
        moving=some(0.6),
        deleting=some(0.3),
        trouble=some(0.3),
        ragged=some(0.4) if BY_POSITION.issuperset(kinds) else 0.0,
        expiring=some(0.1, often=0.1),
        written=rng.choice((0, 2, 4)),
        incremental=rng.random() < 0.25,
        refused=int(rng.random() < 0.1),
        looping=int(rng.random() < 0.1),
        duplicate=some(0.3),
        lost=some(0.1),
        expired=some(0.1),
        late=some(0.1, often=0.1),
        skew=some(300),
        events=tuple(name for name in EVENTS if rng.random() < 0.12),
        large_pages=rng.random() < 0.2,
        emit=rng.choice(("changed", "changed", "new", "all")),
        primary_key=rng.random() < 0.8,
        cache_entries=rng.choice((2, 10, 100_000)),
        settings=rng.choice(((), (), EAGER, PAIRS, SEVERAL, (*SEVERAL, *EAGER))),
    )
    climate = Climate(
        kill=some(0.03),
        kill_all=some(0.005),
        stall=some(0.03),
        refuse=some(0.2),
        lose_answer=some(0.2),
        late=some(0.05),
        since=some(3),
        until=rng.choice((60, 300, 600)),
        ports=tuple(rng.sample(("streams", "broker", "source", "output", "host"), 2)) if rng.random() < 0.2 else (),
    )
    if len(workload.priorities) == 1 and rng.random() < 0.25:
        workload = replace(
            workload,
            auth=rng.choice(("refresh", "refresh", "client")),
            token_life=7200.0 if "clocks jump" in workload.events else rng.choice((2.0, 10.0, 7200.0)),
            token_trouble=some(0.3),
            early=some(0.5),
        )
    if rng.random() < 0.15:
        workload = replace(workload, limits=rng.choice(ALL_LIMITS), blocking=some(0.1))
    return workload, climate


def named(name: str) -> Workload:
    return next(workload for workload in WORKLOADS + CROWDS if workload.name == name)


def simulation_of(seed: int) -> Simulation:
    """The simulation of this seed, not yet run."""
    workload, climate = chosen(seed)
    return Simulation(seed, workload, climate, invariants=INVARIANTS)


def simulation_among(workloads: tuple[str, ...], seed: int, climate: Climate | None = None) -> Simulation:
    """The simulation of this seed among a few workloads, in this climate or in all of them by turns."""
    workload, by_turns = workloads[seed % len(workloads)], CLIMATES[seed % len(CLIMATES)]
    return Simulation(seed, named(workload), climate or by_turns, invariants=INVARIANTS)


def simulate(seed: int) -> Simulation:
    """Run the simulation of this seed. Raises Violation."""
    simulation = simulation_of(seed)
    simulation.run()
    return simulation


def simplified(workload: Workload) -> list[Workload]:
    """Each with one thing less."""
    plain = Workload(workload.name)
    smaller = [
        replace(workload, **{name: getattr(plain, name)})
        for name in Workload.__dataclass_fields__
        if name not in {"name", "users", "records", "size", "runs", "processes"}
        and getattr(workload, name) != getattr(plain, name)
    ]
    for name in ("users", "runs", "processes", "records"):
        value = getattr(workload, name)
        smaller += [replace(workload, **{name: less}) for less in {1, value - 1} if 0 < less < value]
    return smaller

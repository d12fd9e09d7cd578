"""`python -m bench.peers`: the same work by Headframe and by what else one would pick, one after the other.

500 users × 4 pages × 100 records (39 kB a page), each user with a token of their own that is checked, from a mock
source that is never the bottleneck, at 0 and 100 ms latency. Everybody has an environment of their own, made at the
first call under `.headframe/bench/`, and delivers JSON Lines that are counted. CPU is that of the whole process, start
and imports included; of Headframe that of its worker, with the host, the emulator and Azurite beside. Then once more
with one user's token revoked.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.__main__ import Work
from bench.peers.contenders import CONTENDERS, Contender
from bench.peers.measuring import OURS, Measured, environment, measure, measure_ours
from bench.peers.report import revoked_table, table, write

Run = Callable[[float, str], Measured]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--pages", type=int, default=4, help="pages per user")
    parser.add_argument("--records", type=int, default=100, help="records per page")
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 100], help="of the mock API, one round each")
    parser.add_argument("--pages-per-message", type=int, nargs="+", default=[1, 10], help="of Headframe, one run each")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="those whose names hold one of these, such as dlt")
    parser.add_argument("--no-revoked", action="store_true", help="leave out the round with a revoked token")
    parser.add_argument("--write", action="store_true", help="put the tables and the chart into docs/performance.md")
    arguments = parser.parse_args()
    work = Work(arguments.users, arguments.pages, arguments.records)
    runs = list(_runs(work, arguments.pages_per_message, arguments.only))
    found = [run(latency, "") for latency in arguments.latency_ms for run in runs]
    text = table(found, work)
    if not arguments.no_revoked:
        text += "\n" + revoked_table([run(0, f"token-{work.users // 2}") for run in runs], work)
    print(text)
    if arguments.write:
        write(text, found)
    wanted = work.users * work.pages * work.records
    return 0 if all(each.records in {None, wanted} for each in found) else 1


def _runs(work: Work, together: list[int], only: list[str] | None) -> Iterator[Run]:
    """Whoever is asked for, ready to run."""
    for contender in CONTENDERS:
        if _is_wanted(contender.name, only):
            print(f"environment of {contender.name}", file=sys.stderr, flush=True)
            python = environment(contender.requirements)

            def theirs(latency: float, revoked: str, each: Contender = contender, python: Path = python) -> Measured:
                with tempfile.TemporaryDirectory() as place:
                    return _told(measure(each, python, work, latency, Path(place), revoked))

            yield theirs
    for pages in together if _is_wanted(OURS, only) else []:

        def ours(latency: float, revoked: str, pages: int = pages) -> Measured:
            return _told(measure_ours(work, latency, pages, revoked))

        yield ours


def _is_wanted(name: str, only: list[str] | None) -> bool:
    return only is None or any(each.lower() in name.lower() for each in only)


def _told(measured: Measured) -> Measured:
    print(
        f"{measured.latency_ms:5.0f} ms  {measured.name:28} {measured.wall:7.1f} s  {measured.cpu_ms:6.2f} ms a page  "
        f"{measured.rss_mb:5.0f} MB  {measured.records if measured.records is not None else 'not delivered'}",
        file=sys.stderr,
        flush=True,
    )
    return measured


if __name__ == "__main__":
    sys.exit(main())

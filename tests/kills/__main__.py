"""Kill members of the whole local stack while it mines, and compare the output with the API's own truth.

python -m tests.kills --kills 20              members and moments follow from --seed
python -m tests.kills --kills 0 --outage 30   disk, broker, tables, API, host and clocks, each out for so many seconds

SIGKILL goes to one worker, to all workers, to the local host with its workers, or to the Service Bus emulator. Table
storage is stopped and started in an orderly way, because its stand-in writes to disk only every few seconds. After
twenty kills other data is mined, under the next seed. What breaks a promise is kept in .headframe/kills.
"""

import argparse
import signal
import sys

from tests.kills.programme import Report, kill_test, outage_test, recovered, total


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="chooses members and moments (default 1)")
    parser.add_argument(
        "--lock", type=int, default=30, metavar="S", help="seconds of a message's lock (default 30, as in production)"
    )
    parser.add_argument(
        "--outage", type=float, default=0, metavar="S", help="seconds of each outage; 0 (default): none"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that everything is stopped
    reports = kill_test(arguments.kills, arguments.seed, arguments.lock, say)
    if arguments.outage > 0:
        reports.append(outage_test(arguments.outage, arguments.seed, say))
    return tell(reports)


def tell(reports: list[Report]) -> int:
    for report in reports:
        print("\n".join(report.lines()))
    print(", ".join(f"{count} × {name}" for name, count in total(reports).items()))
    print("\n".join(recovered(reports)))
    clean = all(report.verdict.clean for report in reports)
    print("every run ended as it must; nothing missing, nothing twice, nothing foreign" if clean else "PROMISES BROKEN")
    return 0 if clean else 1


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

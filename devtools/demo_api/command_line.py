"""The options of `python -m devtools.demo_api`, and the help that teaches them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from devtools.demo_api.fault_file import RATES, FaultFileError, read_faults
from devtools.demo_api.faults import Faults
from devtools.demo_api.server import Options

_COMMANDS = f"""\
commands:
  users    print the users and their tokens as JSON Lines, as `headframe mine --users FILE` reads them
  faults   print the default faults as a JSON file to start your own from

example:
  python -m devtools.demo_api users --users 200 --seed 7 > users.jsonl
  python -m devtools.demo_api --users 200 --seed 7 --port 8700 --faults default &
  token=$(head -1 users.jsonl | sed 's/.*"token": "\\([^"]*\\)".*/\\1/')
  curl -H "Authorization: Bearer $token" 'http://127.0.0.1:8700/v1/me/posts?limit=2'
  curl http://127.0.0.1:8700/stats     # what was asked for so far, and what went wrong
  curl http://127.0.0.1:8700/truth     # what a perfect extraction has in its output

rates in a fault file (share of the requests, 0 to 1):
  {", ".join(RATES)}
"""

_SCALE = "multiplies the full pages of every stream (default 1: about 6 pages per user in two streams)"
_USER_RATE = f"requests a second of one user, 0: unlimited (default {Options.user_rate:g})"
_APP_RATE = f"requests a second of all users together, 0: unlimited (default {Options.app_rate:g})"
_CURSORS = "cursors expire after so many seconds, 0: never (default)"
_FAULTS = "what goes wrong: nothing (default), about 3%% of the answers, or what a JSON file says"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage of all options."""
        self.exit(2, f"demo_api: {message} (see --help)\n")


def serve_parser() -> argparse.ArgumentParser:
    """The options of the server itself."""
    parser = _Parser(
        prog="python -m devtools.demo_api",
        description="A social API for the demo: paginated, rate limited and unreliable on purpose. Everything"
        " follows from the seed. Listens on the loopback interface only.",
        epilog=_COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_identity(parser)
    add, number, standard = parser.add_argument, _number(float, 0), Options()
    port = _number(int, 0, 65535)
    add("--port", type=port, default=8700, metavar="N", help="0: any free one (default 8700)")
    add("--port-file", type=Path, metavar="FILE", help="write the port here as soon as the server answers")
    add("--pages-scale", type=number, default=standard.pages_scale, metavar="FACTOR", help=_SCALE)
    add("--latency-ms", type=number, default=0.0, metavar="MS", help="delay of each page (default 0)")
    add("--user-rate", type=number, default=standard.user_rate, metavar="RATE", help=_USER_RATE)
    add("--app-rate", type=number, default=standard.app_rate, metavar="RATE", help=_APP_RATE)
    add("--cursor-seconds", type=number, default=standard.cursor_seconds, metavar="S", help=_CURSORS)
    add("--faults", type=_faults, default="none", metavar="none|default|FILE", help=_FAULTS)
    return parser


def users_parser() -> argparse.ArgumentParser:
    """The options of the command `users`."""
    parser = _Parser(
        prog="python -m devtools.demo_api users",
        description="Print one JSON line per user, with the user's token.",
        epilog="example: python -m devtools.demo_api users --users 200 --seed 7 > users.jsonl",
    )
    _add_identity(parser)
    return parser


def server_options(arguments: argparse.Namespace) -> Options:
    """The parsed arguments as the options of a server."""
    return Options(
        users=arguments.users,
        seed=arguments.seed,
        pages_scale=arguments.pages_scale,
        latency_seconds=arguments.latency_ms / 1000,
        user_rate=arguments.user_rate,
        app_rate=arguments.app_rate,
        cursor_seconds=arguments.cursor_seconds,
        faults=arguments.faults,
    )


def _add_identity(parser: argparse.ArgumentParser) -> None:
    users, seed = Options.users, Options.seed
    number = _number(int, 1, 10_000)
    parser.add_argument("--users", type=number, default=users, metavar="N", help=f"how many (default {users})")
    parser.add_argument("--seed", type=int, default=seed, metavar="N", help=f"(default {seed})")


def _number(kind: type[int] | type[float], low: float, high: float = 1e9) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not low <= value <= high:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is not a {what} from {low:,g} to {high:,g}")
        return value

    return parse


def _faults(name: str) -> Faults:
    try:
        return read_faults(name)
    except FaultFileError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

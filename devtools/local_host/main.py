"""The command line: `host start`, as of Core Tools."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from devtools.local_host.errors import HostError
from devtools.local_host.host import Host, HostArguments
from devtools.local_host.host_json import load_host_options
from devtools.local_host.settings import load_settings

DEFAULT_PORT = 7071
LOOPBACK = "127.0.0.1"
EXIT_REFUSED = 2
EXIT_DEFECT = 1
EXIT_INTERRUPTED = 130

DESCRIPTION = """\
Runs a Python function app (v2 programming model) on this machine, where Core Tools cannot be installed.
It reads function_app.py, host.json and local.settings.json; environment variables win over the latter."""

EXAMPLES = """\
examples:
  python -m devtools.local_host host start
      serve the app of this folder; Ctrl-C lets running functions finish, a second one does not
  python -m devtools.local_host host start --port 0 --ready-file /tmp/host.json --verbose
      any free port, told in the file once every listener runs: {"port": …, "pid": …, "workers": […]}
  curl -X POST http://127.0.0.1:7071/admin/functions/schedule -d '{}'
      run a function now; {"input": "text"} is its message

what it serves: timerTrigger, serviceBusTrigger (queues and their dead letters) and httpTrigger
exit status: 0 after a stop, 2 when app, settings or queues do not allow a start, 1 for a defect of the host"""


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devtools.local_host",
        usage="%(prog)s host start [options]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="+", metavar="host start", help="what to do; `start` alone does the same")
    _add_options(parser)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=int,
        metavar="N",
        help=f"of the HTTP functions (default {DEFAULT_PORT}; 0: any free one)",
    )
    parser.add_argument("--verbose", action="store_true", help="log each invocation")
    parser.add_argument(
        "--script-root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder of function_app.py (default: this one)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="for running functions after Ctrl-C or SIGTERM (default 10)",
    )
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="written when everything runs, removed at the end"
    )
    parser.add_argument(
        "--timer-state",
        type=Path,
        metavar="FILE",
        help="remembers the timers: one missed while the host was down runs at once",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped. Returns the exit status."""
    parser = arguments_parser()
    options = parser.parse_args(argv)
    if options.command not in (["host", "start"], ["start"]):
        parser.error(f"unknown command {' '.join(options.command)!r}, allowed: host start")
    _log_to_stderr(options.verbose)
    try:
        return asyncio.run(_run(options))
    except HostError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        return EXIT_REFUSED
    except Exception:
        logging.getLogger(__name__).exception("the local host failed")
        return EXIT_DEFECT


async def _run(options: argparse.Namespace) -> int:
    script_root = options.script_root.resolve()
    host_options = load_host_options(script_root)
    settings = load_settings(script_root)
    for file in (options.ready_file, options.timer_state):
        if file is not None and not file.absolute().parent.is_dir():
            raise HostError(f"{file}: its folder is not there")
    listening = _bind(_port(options.port, settings.http_port))
    arguments = HostArguments(script_root, options.drain_seconds, options.ready_file, options.timer_state)
    host = Host(arguments, settings, host_options, listening)
    stop = asyncio.Event()
    _stop_on_signals(stop, host)
    await host.run(stop)
    return 0


def _port(given: int | None, configured: int | None) -> int:
    port = given if given is not None else (configured or DEFAULT_PORT)
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise HostError(f"port {port!r}, allowed: 0 to 65535")
    return port


def _bind(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise HostError(f"port {port}: {error.strerror}; stop what uses it or give another --port") from None
    return listening


def _stop_on_signals(stop: asyncio.Event, host: Host) -> None:
    """The first signal drains; a second Ctrl-C ends at once.

    A SIGTERM behind a Ctrl-C does not: a terminal's Ctrl-C reaches the command that started this host as well, and
    that command then asks for the stop in its own way.
    """

    def interrupted() -> None:
        if stop.is_set():
            host.kill()
            os._exit(EXIT_INTERRUPTED)
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, stop.set)


def _log_to_stderr(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s host: %(message)s",
        datefmt="%H:%M:%S",
    )
    # The SDK repeats each failure several times; the listeners tell it once. asyncio tells only its own details.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)

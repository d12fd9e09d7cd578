"""`python -m devtools.service_bus_emulator`: the command line."""

import argparse
import asyncio
import contextlib
import logging
import sys
from pathlib import Path

from devtools.service_bus_emulator.errors import JournalFailed, StartError
from devtools.service_bus_emulator.server import Options, run

DESCRIPTION = """\
A Service Bus on your machine, without Docker: queues over AMQP 1.0 for the unmodified Azure SDKs,
and the queue operations of the admin client, on one port of the loopback interface."""

EXAMPLE = """\
example:
  cat > queues.json <<'JSON'
  {"UserConfig": {"Namespaces": [{"Name": "local", "Queues": [
    {"Name": "orders", "Properties": {"LockDuration": "PT30S", "MaxDeliveryCount": 10}}]}]}}
  JSON
  python -m devtools.service_bus_emulator --config queues.json --journal orders.db

It prints one line, the connection string, when it is ready. SIGTERM or Ctrl-C ends it with status 0;
a wrong configuration, a port or a journal in use end it at once with status 2 and one line on stderr;
a journal that cannot be written any more ends it with status 1."""


def main(arguments: list[str] | None = None) -> int:
    """Run the emulator; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m devtools.service_bus_emulator",
        description=DESCRIPTION,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE",
                        help="the queues, in the JSON format of Microsoft's emulator")  # fmt: skip
    parser.add_argument("--port", type=_port, default=5672, help="default 5672; 0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1; only loopback addresses are allowed")
    parser.add_argument("--journal", type=Path, metavar="FILE",
                        help="keep everything in this file, so that not even kill -9 loses an acknowledged message; "
                        "without it the emulator forgets everything when it stops")  # fmt: skip
    parser.add_argument("--port-file", type=Path, metavar="FILE", help="write the port here once it is listening")
    parser.add_argument("--verbose", action="store_true",
                        help="log frames and operations to stderr, never a message body")  # fmt: skip
    values = vars(parser.parse_args(arguments))
    verbose = values.pop("verbose")
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run(Options(**values)))
    except StartError as error:
        print(f"service bus emulator: {error}", file=sys.stderr)
        return 2
    except JournalFailed as error:
        print(f"service bus emulator: {values['journal']}: cannot be written: {error}", file=sys.stderr)
        return 1
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed: 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

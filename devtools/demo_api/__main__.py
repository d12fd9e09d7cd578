"""Run the demo API: `python -m devtools.demo_api --help`."""

import asyncio
import errno
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.demo_api.command_line import serve_parser, server_options, users_parser
from devtools.demo_api.fault_file import fault_file
from devtools.demo_api.server import HOST, DemoApi, serving
from devtools.demo_api.users import user_lines


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit status: 0, or 2 for what cannot be done as asked."""
    if arguments[:1] == ["users"]:
        return _print_users(arguments[1:])
    if arguments[:1] == ["faults"]:
        print(fault_file())
        return 0
    return _serve(arguments)


def _print_users(arguments: list[str]) -> int:
    options = users_parser().parse_args(arguments)
    for line in user_lines(options.users, options.seed):
        print(line)
    return 0


def _serve(arguments: list[str]) -> int:
    options = serve_parser().parse_args(arguments)
    try:
        asyncio.run(_run(DemoApi(server_options(options)), options.port, options.port_file))
    except OSError as error:
        taken = f"port {options.port} is in use; give --port another number, or 0 for any free one"
        print(f"demo_api: {taken if error.errno == errno.EADDRINUSE else error}", file=sys.stderr)
        return 2
    return 0


async def _run(api: DemoApi, port: int, port_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    gc.freeze()  # the catalogue stays as long as the process: the collector need not walk through it
    async with serving(api, port) as bound:
        with _written(port_file, bound):
            print(f"demo API on http://{HOST}:{bound}: {api}", flush=True)
            await stopped.wait()


@contextmanager
def _written(port_file: Path | None, port: int) -> Iterator[None]:
    """The port file exists while the server answers, and whoever waits for it never sees half of it."""
    if port_file is None:
        yield
        return
    part = port_file.with_name(port_file.name + ".part")
    part.write_text(f"{port}\n", encoding="utf-8")
    part.replace(port_file)
    yield
    port_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

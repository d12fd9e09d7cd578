"""What many users cost: descriptors and TLS contexts."""

import asyncio
import gc
import os
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from shared.adapters.source_http import IDLE_LANES, SourceHttp
from shared.pipeline.requests import PageRequest, origin_of
from tests.unit.shared.adapters.conftest import BEARER, CONTEXT, GENEROUS, Called

DESCRIPTORS = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")


async def condition(met: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - what the kernel has closed tells nobody
            await asyncio.sleep(0.01)


def open_descriptors() -> int:
    return len(os.listdir(DESCRIPTORS))  # noqa: PTH208 - a descriptor may vanish while it is listed


async def test_descriptors_do_not_grow_with_users(called: Called):
    """300 users one after the other share a connection; 300 at once leave no more than the idle limit."""
    await called.get()
    before = open_descriptors()
    for number in range(300):
        await called.get(user=f"u{number}")
    assert open_descriptors() <= before + 5
    await asyncio.gather(*(called.get(user=f"u{number}") for number in range(300)))
    # each idle connection has two ends in this process
    await condition(lambda: open_descriptors() <= before + 2 * IDLE_LANES + 5)
    await called.http.close()
    await condition(lambda: open_descriptors() <= before)


async def test_descriptors_do_not_grow_with_origins():
    """Every user may have a host of their own (`{params.base_url}`): connections to all of them can't be kept."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    http = SourceHttp(GENEROUS, 300, 1000, context=CONTEXT)
    async with AsyncExitStack() as stack:
        servers = [await asyncio.start_server(quietly, "127.0.0.1", 0) for _ in range(IDLE_LANES + 40)]
        for server in servers:
            await stack.enter_async_context(server)
        before = open_descriptors()
        for number, server in enumerate(servers):
            base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await http.fetch(f"u{number}", PageRequest(base, {}, frozenset({origin_of(base)})), BEARER)
        await condition(lambda: open_descriptors() <= before + 2 * IDLE_LANES)
        await http.close()


async def test_there_is_one_tls_context_for_all_users(called: Called):
    """One costs 25 ms and half a megabyte."""
    await called.get()
    contexts = sum(isinstance(each, ssl.SSLContext) for each in gc.get_objects())
    for number in range(50):
        await called.get(user=f"u{number}")
    assert sum(isinstance(each, ssl.SSLContext) for each in gc.get_objects()) == contexts

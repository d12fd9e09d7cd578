"""A source that is never the bottleneck: pages rendered beforehand, one parser-free protocol, every token checked."""

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path

REQUEST = re.compile(rb"GET /items(?:\?after=(\d+))? HTTP/1\.1\r\n")
TOKEN = re.compile(rb"\r\nauthorization: bearer (token-\d+)\r\n", re.IGNORECASE)


def rendered(pages: int, records: int) -> list[bytes]:
    """Whole responses, about 390 bytes a record."""
    filler = "lorem ipsum dolor sit amet consectetur " * 6
    responses = []
    for page in range(pages):
        data = [
            {"id": page * records + number, "name": f"item {number}", "text": filler, "nested": {"a": 1, "b": [1, 2]}}
            for number in range(records)
        ]
        body = json.dumps({"data": data, "next": page + 1 if page + 1 < pages else None}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        responses.append(head.encode() + body)
    return responses


class MockApi(asyncio.Protocol):
    """Answers after the latency; 401 for a token of nobody, and for the one that is revoked."""

    def __init__(self, responses: list[bytes], latency: float, revoked: bytes = b""):
        self._responses = responses
        self._latency = latency
        self._revoked = revoked
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            asyncio.get_running_loop().call_later(self._latency, self._answer, self._response(head + b"\r\n"))

    def _response(self, head: bytes) -> bytes:
        request = REQUEST.match(head)
        token = TOKEN.search(head)
        if token is None or token.group(1) == self._revoked:
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        page = int(request.group(1) or 0) if request else len(self._responses)
        if page >= len(self._responses):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        return self._responses[page]

    def _answer(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)


async def serve(arguments: argparse.Namespace) -> None:
    responses = rendered(arguments.pages, arguments.records)
    loop = asyncio.get_running_loop()
    latency, revoked = arguments.latency_ms / 1000, arguments.revoked.encode()
    server = await loop.create_server(lambda: MockApi(responses, latency, revoked), "127.0.0.1", 0)
    draft = arguments.port_file.with_suffix(".part")
    draft.write_text(str(server.sockets[0].getsockname()[1]))
    draft.replace(arguments.port_file)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mock_api", description=__doc__)
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--revoked", default="", help="a token that is refused")
    parser.add_argument("--port-file", type=Path, required=True)
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()

"""The frames between host and worker."""

import asyncio
import itertools
import socket

from hypothesis import given
from hypothesis import strategies as st

from devtools.local_host.frames import FrameConnection, Head, encode_frame

FRAMES = [({"kind": "result", "text": "é"}, b"\x00\xff"), ({"kind": "empty"}, b""), ({"kind": "last"}, b"x" * 70_000)]


class Wire(asyncio.Transport):
    """A transport that only remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False


def received_from(pieces: list[bytes]) -> list[tuple[Head, bytes]]:
    received: list[tuple[Head, bytes]] = []
    connection = FrameConnection(lambda head, body: received.append((head, body)), lambda: None)
    for piece in pieces:
        connection.data_received(piece)
    return received


@given(st.lists(st.integers(1, 100_000), max_size=30))
def test_frames_arrive_whole_and_in_order_however_the_bytes_are_cut(cuts: list[int]):
    stream = b"".join(encode_frame(head, body) for head, body in FRAMES)
    edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert received_from(pieces) == FRAMES


def test_what_one_side_sends_the_other_reads():
    wire = Wire()
    connection = FrameConnection(lambda head, body: None, lambda: None)
    connection.connection_made(wire)
    for head, body in FRAMES:
        connection.send(head, body)
    assert received_from([wire.written]) == FRAMES


async def test_the_end_of_the_other_side_is_told():
    ours, theirs = socket.socketpair()
    lost = asyncio.Event()
    await asyncio.get_running_loop().create_connection(lambda: FrameConnection(lambda h, b: None, lost.set), sock=ours)
    theirs.close()
    await asyncio.wait_for(lost.wait(), 30)

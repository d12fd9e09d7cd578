"""One AMQP connection: protocol headers, SASL, open and close, heartbeats, and frames to and from its sessions."""

import asyncio
import logging
import uuid
from typing import cast

from devtools.service_bus_emulator import frames
from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.codec import NULL, DecodeError
from devtools.service_bus_emulator.frames import Begin, Close, End, Frame, Open, SaslInit
from devtools.service_bus_emulator.session import Session

IDLE_MS = 240_000  # told to the client, which sends a heartbeat at half of it
HEARTBEAT_SECONDS = 30

log = logging.getLogger("service_bus_emulator")


class Connection(asyncio.Protocol):
    """Answers gather while one piece of input is handled; the broker's turn lets them out after its commit."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.max_frame_size = 512
        self.has_room = True
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._output: list[bytes] = []
        self._sessions: dict[int, Session] = {}
        self._expects_header = True
        self._heart: asyncio.TimerHandle | None = None

    def trace(self, text: str, *values: object) -> None:
        """One line of --verbose; never with a body."""
        if log.isEnabledFor(logging.DEBUG):
            log.debug(f"[%x] {text}", id(self) & 0xFFFFFF, *values)

    # -- asyncio calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._beat()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            self._handle_input()
        except DecodeError as error:
            self._give_up("amqp:decode-error", str(error))
        except Exception as error:  # one broken client must not take the emulator down
            log.exception("closing a connection after an unexpected error")
            self._give_up("amqp:internal-error", f"{type(error).__name__}: {error}")
        self.broker.turn()

    def connection_lost(self, error: Exception | None) -> None:
        self.trace("connection lost")
        self._transport = None
        if self._heart:
            self._heart.cancel()
        self._end_sessions()
        self.broker.turn()

    def pause_writing(self) -> None:
        self.has_room = False

    def resume_writing(self) -> None:
        self.has_room = True
        self.serve_again()
        self.broker.turn()

    # -- output --------------------------------------------------------------------------------------------------

    def write(self, frame: bytes) -> None:
        self._output.append(frame)
        self.broker.has_output(self)

    def flush(self) -> None:
        output, self._output = b"".join(self._output), []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    def abort(self) -> None:
        """Cut the connection; what was not flushed is never said."""
        self._output = []
        if self._transport is not None:
            self._transport.abort()

    def serve_again(self) -> None:
        for session in self._sessions.values():
            session.serve_again()

    def _beat(self) -> None:
        if self._transport is not None and not self._expects_header:
            self._transport.write(frames.HEARTBEAT)
        self._heart = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)

    # -- input ---------------------------------------------------------------------------------------------------

    def _handle_input(self) -> None:
        """Handle every complete header and frame in the buffer; a header comes first and again after SASL."""
        while True:
            if self._expects_header:
                if not self._take_header():
                    return
                continue
            raw = frames.take(self._buffer)
            if raw is None:
                return
            self._handle(frames.decode(raw))

    def _take_header(self) -> bool:
        """Echo a protocol header; after the SASL one offer the mechanisms. True if frames may follow."""
        if len(self._buffer) < 8:
            return False
        header = bytes(self._buffer[:8])
        del self._buffer[:8]
        if header not in (frames.AMQP_HEADER, frames.SASL_HEADER):
            self.write(frames.SASL_HEADER)
            raise DecodeError(f"unknown protocol header {header!r}")
        self.write(header)
        if header == frames.SASL_HEADER:
            self.write(frames.sasl_mechanisms())
        self._expects_header = False
        return True

    def _handle(self, frame: Frame) -> None:
        performative = frame.performative
        self.trace("<- %d %s", frame.channel, type(performative).__name__.lower())
        if isinstance(performative, SaslInit):
            self.write(frames.sasl_outcome())
            self._expects_header = True
        elif isinstance(performative, Open):
            self.max_frame_size = max(512, min(performative.max_frame_size or frames.MAX_FRAME_SIZE, 1 << 20))
            self.write(frames.open_(f"emulator-{uuid.uuid4()}", IDLE_MS))
        elif isinstance(performative, Begin):
            self._sessions[frame.channel] = Session(self, frame.channel, performative)
        elif isinstance(performative, End):
            self._end_session(frame.channel)
        elif isinstance(performative, Close):
            self._close()
        elif performative is not None and frame.channel in self._sessions:
            self._sessions[frame.channel].handle(performative, frame.payload)

    def _end_session(self, channel: int) -> None:
        session = self._sessions.pop(channel, None)
        if session is not None:
            session.close()
            self.write(frames.end(channel))

    def _end_sessions(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _close(self, error: bytes = NULL) -> None:
        self._end_sessions()
        self.write(frames.close(error))
        asyncio.get_running_loop().call_soon(self._close_transport)

    def _close_transport(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _give_up(self, condition: str, text: str) -> None:
        self.trace("closing: %s %s", condition, text)
        self._buffer.clear()
        self._close(frames.error(condition, text))

"""Opaque page positions: signed, bound to one user and one stream, and expiring where that is asked for.

Standard Base64 with `+`, `/` and `=` on purpose: a client has to encode what it puts into a query.
"""

import base64
import binascii
import hashlib

from devtools.demo_api.graph_errors import expired_cursor, invalid_cursor
from devtools.demo_api.streams import Position

_SIGNATURE_BYTES = 8


class Cursors:
    """Writes and reads cursors. The same position gives the same cursor unless cursors expire."""

    def __init__(self, seed: int, lifetime_seconds: float = 0) -> None:
        """`lifetime_seconds` 0 means that a cursor holds as long as the seed."""
        self._key = f"cursors:{seed}".encode()
        self._lifetime = lifetime_seconds

    def write(self, user: str, stream: str, position: Position, now: float) -> str:
        """The cursor that leads this user to this position."""
        issued = int(now) if self._lifetime else 0
        payload = ".".join(map(str, (*position, issued))).encode()
        return base64.b64encode(self._signature(user, stream, payload) + payload).decode()

    def read(self, user: str, stream: str, cursor: str, now: float) -> Position:
        """The position. Raises GraphError 400: never written for this user and stream, or too long ago."""
        try:
            raw = base64.b64decode(cursor, validate=True)
        except (binascii.Error, ValueError):
            raise invalid_cursor() from None
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if signature != self._signature(user, stream, payload):
            raise invalid_cursor()
        sequence, number, detour, issued = map(int, payload.split(b"."))
        if self._lifetime and now - issued > self._lifetime:
            raise expired_cursor()
        return Position(sequence, number, detour)

    def _signature(self, user: str, stream: str, payload: bytes) -> bytes:
        signed = f"{user}/{stream}/".encode() + payload
        return hashlib.blake2b(signed, key=self._key, digest_size=_SIGNATURE_BYTES).digest()

"""Table keys from any text. Injective: two different texts never share a key.

Table Storage refuses `/ \\ # ?` and control characters in keys and holds at most 1 KiB of UTF-16.
"""

import hashlib
from functools import lru_cache

SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
SEPARATOR = "|"
LONGEST = 120


def encode(text: str) -> str:
    """Safe characters as they are, every other byte of UTF-8 as `=XX`; a long result as `~` and its SHA-256."""
    data = text.encode("utf-8", "surrogatepass")
    encoded = "".join(chr(byte) if byte in SAFE else f"={byte:02X}" for byte in data)
    return encoded if len(encoded) <= LONGEST else "~" + hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=4096)
def key(*parts: str) -> str:
    """One key of several texts; neither the separator nor `~` can come out of `encode` by itself."""
    return SEPARATOR.join(encode(part) for part in parts)

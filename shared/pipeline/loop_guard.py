"""A source that leads in circles is seen with two cursors remembered. Pure."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoopGuard:
    """Sees a source that repeats itself, remembering two cursors only.

    `repeats` counts how often in a row the next cursor equals the current one. Longer cycles are met by Brent's
    algorithm: `tortoise` is the cursor at the last power of two, and coming back to it is a lap.
    """

    repeats: int = 0
    laps: int = 0
    tortoise: str = ""

    def advance(self, seq: int, current: str | None, following: str) -> "LoopGuard":
        """`seq` counts pages from 0; `current` gave the page whose response named `following`."""
        mark = _fingerprint(following)
        repeated = current is not None and following == current
        lapped = not repeated and mark == self.tortoise
        power_of_two = (seq + 1) & seq == 0
        return LoopGuard(
            repeats=self.repeats + 1 if repeated else 0,
            laps=self.laps + 1 if lapped else self.laps,
            tortoise=mark if power_of_two and not lapped else self.tortoise,
        )

    def tripped(self, limit: int) -> bool:
        return self.repeats >= limit or self.laps >= limit


NO_LOOP = LoopGuard()


def _fingerprint(cursor: str) -> str:
    return hashlib.blake2b(cursor.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

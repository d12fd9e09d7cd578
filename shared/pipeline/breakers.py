"""Breakers: whoever fails again and again is left alone for a while, then asked by one. Pure; times are epoch seconds.

closed      everybody may ask
open        nobody may, until `open_until`
half open   whoever writes `probed_until` first may ask; its success closes, its failure opens for longer
"""

from dataclasses import dataclass, replace

FAILURES = 5
"""So many in a row, seen by one instance, open it."""

FIRST, FACTOR, CAP = 15.0, 2.0, 600.0
"""Seconds: open for so long at first, then for longer each time, and never for longer than this."""

MOST_OPENINGS = 16


@dataclass(frozen=True, slots=True)
class Breaker:
    """`openings` in a row, without a success between; 0: closed."""

    openings: int = 0
    open_until: float = 0.0
    probed_until: float = 0.0
    prober: str = ""

    @property
    def is_closed(self) -> bool:
        return self.openings == 0

    def opens_at(self, now: float, prober: str) -> float | None:
        """When whoever this is may ask, or None: now."""
        at = max(self.open_until, 0.0 if prober == self.prober else self.probed_until) if self.openings else 0.0
        return at if at > now else None

    def probed(self, prober: str, until: float) -> "Breaker":
        """Somebody asks, and has an answer `until` then; nobody else asks before."""
        return replace(self, prober=prober, probed_until=until)

    def given_up(self, prober: str) -> "Breaker":
        """Somebody else may ask."""
        return replace(self, prober="", probed_until=0.0) if prober == self.prober else self

    def opened(self, now: float) -> "Breaker":
        """Open for longer than the last time. Where it is open already and nobody probes, it stays as it is."""
        if self.open_until > now:
            return self
        longer = min(CAP, FIRST * FACTOR ** min(self.openings, MOST_OPENINGS))
        return Breaker(self.openings + 1, now + longer)


CLOSED = Breaker()

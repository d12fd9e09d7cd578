"""Budgets: what may be asked of a source, and when. Pure; times are epoch seconds.

A span is cut into SHARES shares, and every request is booked in one of them. The shares that any window of that length
can touch never hold more requests than the limit allows. A few shares more are counted than would do, so that a
request may be made a little late, and arrive a little later. So 120 of 125 parts of a limit can be used, and no window
ever sees more than the whole.

Shares are booked forwards only. Who comes when the next ones are full is given slots further on, in the order of
asking, and comes back for them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.pipeline.breakers import CLOSED, Breaker
from shared.pipeline.spec import Limit, Source

SHARES = 120
LATE = 3
"""Shares behind its own in which a request may still be made; one more, and it must have arrived."""

COUNTED = SHARES + 1 + LATE + 1
"""Shares of which something can arrive within one window."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A request may be made from `start` until `end`."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One limit: `most` requests in `span` seconds, or at a time where there is no span."""

    name: str
    most: int
    span: float | None


@dataclass(frozen=True, slots=True)
class Booked:
    """How many requests are booked in the newest share and those before it; `newest` is its number since 1970.

    `counts` has the oldest first. `paced` is where the next request would be if all of them were spread evenly.
    """

    newest: int = 0
    counts: tuple[int, ...] = ()
    paced: float = 0.0


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants: a request in all of these lanes. `held` are slots from before, by lane.

    `lease` names the request for lanes that count those under way, at the latest until `lease_until`. Who has to wait
    books `quantum` slots at once. A slot that begins within `ahead` seconds is waited for by whoever asks.
    """

    lanes: tuple[Lane, ...]
    held: Mapping[str, tuple[Slot, ...]]
    lease: str
    lease_until: float
    quantum: int = 1
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`at` None: go on. Else nothing may be asked before `at`. `slots` by lane have been booked."""

    at: float | None = None
    slots: Mapping[str, tuple[Slot, ...]] = field(default_factory=dict)


AGAIN = 1.0
"""Seconds until somebody looks again whether fewer are under way."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is booked and known of everybody who shares it: an app, or one user of it."""

    booked: Mapping[str, Booked] = field(default_factory=dict)
    leases: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By lane and name of the request: until when it counts as under way."""
    blocked_until: float = 0.0
    breaker: Breaker = CLOSED

    def asked(self, ask: Ask, now: float) -> tuple["Budget", Answer]:
        """The budget behind this request, and what comes of it."""
        if self.blocked_until > now:
            return self, Answer(self.blocked_until)
        if (opens_at := self.breaker.opens_at(now, ask.lease)) is not None:
            return self, Answer(opens_at)
        others = {lane: self._running(lane, now).keys() - {ask.lease} for lane in ask.lanes if lane.span is None}
        if any(len(found) >= lane.most for lane, found in others.items()):
            return self, Answer(now + AGAIN)
        counted = [lane for lane in ask.lanes if lane.span is not None]
        held = {lane.name: live(ask.held.get(lane.name, ()), now) for lane in counted}
        early = [(slots[0].start, name) for name, slots in held.items() if slots and slots[0].start > now + ask.ahead]
        if early:
            return self, Answer(max(early)[0])
        missing = [lane for lane in counted if not held[lane.name]]
        waits = [(earliest(self.booked.get(lane.name, Booked()), lane, now), lane) for lane in missing]
        last = max(waits, key=lambda each: each[0], default=None)
        if last is not None and last[0] > now:
            slots, booked = _several(self.booked.get(last[1].name, Booked()), last[1], now, ask.quantum)
            after = replace(self, booked={**self.booked, last[1].name: booked})
            return after, Answer(slots[0].start, {last[1].name: slots})
        return self._begun(ask, missing, now)

    def _begun(self, ask: Ask, missing: list[Lane], now: float) -> tuple["Budget", Answer]:
        """With a request that is made now."""
        booked, slots = dict(self.booked), {}
        for lane in missing:
            slots[lane.name], booked[lane.name] = _several(booked.get(lane.name, Booked()), lane, now, 1)
        leases = dict(self.leases)
        for lane in ask.lanes:
            if lane.span is None:
                leases[lane.name] = {**self._running(lane, now), ask.lease: ask.lease_until}
        breaker = self.breaker if self.breaker.is_closed else self.breaker.probed(ask.lease, ask.lease_until)
        return replace(self, booked=booked, leases=leases, breaker=breaker), Answer(None, slots)

    def released(self, lease: str) -> "Budget":
        """The request is over."""
        leases = {
            lane: {name: until for name, until in found.items() if name != lease} for lane, found in self.leases.items()
        }
        left = {lane: found for lane, found in leases.items() if found}
        return replace(self, leases=left, breaker=self.breaker.given_up(lease))

    def returned(self, slots: Mapping[str, tuple[Slot, ...]], lanes: tuple[Lane, ...]) -> "Budget":
        """These slots are not used; somebody else may have what they took of the limits."""
        booked = dict(self.booked)
        for lane in lanes:
            for slot in slots.get(lane.name, ()):
                booked[lane.name] = _one_less(booked.get(lane.name, Booked()), round(slot.start / _width(lane)))
        return replace(self, booked=booked)

    def blocked(self, until: float) -> "Budget":
        """Nobody asks before; who was told to wait for longer still does."""
        return replace(self, blocked_until=max(self.blocked_until, until))

    def _running(self, lane: Lane, now: float) -> Mapping[str, float]:
        found = self.leases.get(lane.name, {}) if lane.span is None else {}
        return {name: until for name, until in found.items() if until > now}

    def encode(self) -> str:
        """JSON, without what says nothing."""
        known: dict[str, Any] = {
            "booked": {name: [each.newest, each.counts, round(each.paced, 6)] for name, each in self.booked.items()},
            "leases": {name: found for name, found in self.leases.items() if found},
            "blocked_until": self.blocked_until,
        }
        if not self.breaker.is_closed:
            breaker = self.breaker
            known["breaker"] = [breaker.openings, breaker.open_until, breaker.probed_until, breaker.prober]
        return json.dumps({name: value for name, value in known.items() if value}, separators=(",", ":"))

    @staticmethod
    def decode(text: str) -> "Budget":
        known = json.loads(text)
        return Budget(
            {
                name: Booked(newest, tuple(counts), paced)
                for name, (newest, counts, paced) in known.get("booked", {}).items()
            },
            known.get("leases", {}),
            known.get("blocked_until", 0.0),
            Breaker(*known["breaker"]) if "breaker" in known else CLOSED,
        )


def lanes_of(source: Source, stream: str, per: str) -> tuple[Lane, ...]:
    """The limits that a request of this stream is under."""
    return tuple(
        _lane(each) for each in source.limits if each.per == per and (not each.streams or stream in each.streams)
    )


def _lane(limit: Limit) -> Lane:
    """Named by what it says: a limit that is changed in a file begins anew."""
    about = f" {','.join(sorted(limit.streams))}" if limit.streams else ""
    if limit.span is None or limit.requests is None:
        return Lane(f"{limit.concurrent} at once{about}", limit.concurrent or 1, None)
    seconds = limit.span.total_seconds()
    return Lane(f"{limit.requests} in {seconds:g}s{about}", limit.requests, seconds)


def live(slots: tuple[Slot, ...], now: float) -> tuple[Slot, ...]:
    """Those that are not over."""
    return tuple(slot for slot in slots if slot.end > now)


def earliest(booked: Booked, lane: Lane, now: float) -> float:
    """When the next request may be made in this lane."""
    width = _width(lane)
    share = _earliest_share(booked, lane, int(now // width))
    return max(now, share * width)


def book(booked: Booked, lane: Lane, at: float) -> Booked:
    """With one request more, at the earliest from `at` on."""
    share = _earliest_share(booked, lane, int(at // _width(lane)))
    ahead = share - booked.newest
    counts = (*booked.counts, *([0] * ahead))[-COUNTED:] if booked.counts and ahead < COUNTED else (0,)
    paced = max(booked.paced, share) + COUNTED / lane.most
    return Booked(share, (*counts[:-1], counts[-1] + 1), paced)


def _one_less(booked: Booked, share: int) -> Booked:
    place = share - booked.newest + len(booked.counts) - 1
    if not 0 <= place < len(booked.counts) or not booked.counts[place]:
        return booked
    return replace(booked, counts=(*booked.counts[:place], booked.counts[place] - 1, *booked.counts[place + 1 :]))


def _several(booked: Booked, lane: Lane, now: float, count: int) -> tuple[tuple[Slot, ...], Booked]:
    """The next slots for a turn. Where turns queue up they are spread evenly, rather than all at once when a window
    opens: else none of them would find a free worker at its time."""
    width, slots = _width(lane), []
    if earliest(booked, lane, now) > now:
        now = max(now, int(booked.paced) * width)
    for _ in range(count):
        booked = book(booked, lane, now)
        slots.append(Slot(booked.newest * width, (booked.newest + 1 + LATE) * width))
    return tuple(slots), booked


def _earliest_share(booked: Booked, lane: Lane, share: int) -> int:
    """The first share, from this one or the newest on, with which no window holds more than the limit allows."""
    share, within = max(share, booked.newest), sum(booked.counts)
    number = booked.newest - len(booked.counts)
    for count in booked.counts:
        if within < lane.most:
            break
        number, within = number + 1, within - count
        share = max(share, number + COUNTED)
    return share


def _width(lane: Lane) -> float:
    return (lane.span or 1.0) / SHARES

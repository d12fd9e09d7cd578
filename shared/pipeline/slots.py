"""Slots that are booked for a page: what a checkpoint keeps of them until their time comes. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.pipeline.budgets import Answer, Slot, live

LEAD, MOST_LEAD = 1.5, 12.0
"""Seconds; so long before a slot its page comes back, and at most so long if messages come late."""

MOST_MISSES = 4


@dataclass(slots=True)
class HeldSlots:
    """What one message holds. `lanes` has slots by whose budget and lane they are in, the earliest first.

    `misses` counts slots whose message came too late, less those that were used; the more, the earlier it comes the
    next time. `rest` is for how many seconds a strand waits behind its page, so that all of a run together have the
    share of one. `in_time` says that this message did not come too late for its slot.
    """

    lanes: dict[str, tuple[Slot, ...]] = field(default_factory=dict)
    misses: int = 0
    rest: float = 0.0
    in_time: bool = False

    @property
    def lead(self) -> float:
        """How many seconds before its slot a page should come back."""
        return min(MOST_LEAD, LEAD * 2.0 ** min(self.misses, MOST_MISSES))

    def of(self, whose: str) -> Mapping[str, tuple[Slot, ...]]:
        """By lane."""
        return {name.partition("|")[2]: slots for name, slots in self.lanes.items() if name.startswith(f"{whose}|")}

    def begins_at(self, moment: float) -> bool:
        """Whether that is when a slot begins."""
        return any(slots and abs(slots[0].start - moment) < 0.001 for slots in self.lanes.values())

    def take(self, whose: str, answer: Answer) -> None:
        """What was booked by an answer is held from now on."""
        self.lanes |= {f"{whose}|{lane}": slots for lane, slots in answer.slots.items()}

    def latest_start(self, now: float) -> float:
        """When the last of the slots begins that come next in their lanes."""
        return max((left[0].start for slots in self.lanes.values() if (left := live(slots, now))), default=now)

    def use(self, now: float) -> bool:
        """A request is made now: one slot of each lane is gone. False if one is over, and nothing may be asked."""
        if any(not live(slots, now) for slots in self.lanes.values()):
            return False
        if self.in_time:
            self.misses, self.in_time = max(0, self.misses - 1), False
        self.lanes = {name: left for name, slots in self.lanes.items() if (left := live(slots, now)[1:])}
        return True

    def handed_back(self, whose: str, now: float, *, only_begun: bool = False) -> Mapping[str, tuple[Slot, ...]]:
        """The slots of this budget that are not over, or of them those that have begun; they are not held any more."""
        found = {lane: live(slots, now) for lane, slots in self.of(whose).items()}
        if only_begun:
            found = {lane: tuple(each for each in slots if each.start <= now) for lane, slots in found.items()}
        for lane, slots in found.items():
            left = tuple(each for each in self.lanes[f"{whose}|{lane}"] if each not in slots)
            self.lanes[f"{whose}|{lane}"] = left
        self.lanes = {name: slots for name, slots in self.lanes.items() if slots}
        return {lane: slots for lane, slots in found.items() if slots}

    def claimed(self, now: float) -> None:
        """Its message is here. A slot that is over was missed.

        Who comes far too early has not come in time yet: between two workers, the one's clock behind the other's, a
        page would else come too early and too late by turns for ever.
        """
        self.in_time = all(not slots or slots[0].end > now for slots in self.lanes.values())
        if not self.in_time:
            self.misses = min(MOST_MISSES, self.misses + 1)

    def encode(self, *, with_slots: bool = True) -> str:
        """JSON, or nothing where there is nothing to say."""
        lanes = {name: [(each.start, each.end) for each in slots] for name, slots in self.lanes.items() if slots}
        known = {"lanes": lanes if with_slots else {}, "misses": self.misses, "rest": self.rest if with_slots else 0}
        found = {name: value for name, value in known.items() if value}
        return json.dumps(found, separators=(",", ":")) if found else ""

    @staticmethod
    def decode(text: str) -> "HeldSlots":
        known = json.loads(text) if text else {}
        lanes = {name: tuple(Slot(*each) for each in slots) for name, slots in known.get("lanes", {}).items()}
        return HeldSlots(lanes, known.get("misses", 0), known.get("rest", 0.0))

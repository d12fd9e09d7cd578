"""Slots that a checkpoint keeps for its page."""

from shared.pipeline.budgets import Answer, Slot
from shared.pipeline.slots import LEAD, MOST_LEAD, HeldSlots

NOON = 1_795_000_000.0
TWO = (Slot(NOON, NOON + 1), Slot(NOON + 5, NOON + 6))


def held(*slots: Slot) -> HeldSlots:
    found = HeldSlots()
    found.take("app", Answer(slots[0].start, {"five in 30s": slots}))
    return found


def test_they_are_the_same_when_they_are_read_again():
    found = held(*TWO)
    found.misses, found.rest = 2, 30.0
    assert HeldSlots.decode(found.encode()) == found


def test_nothing_to_say_is_nothing_to_store():
    assert HeldSlots().encode() == ""
    assert held(*TWO).encode(with_slots=False) == ""


def test_a_request_uses_one_slot_of_each_lane():
    found = held(*TWO)
    assert found.use(NOON + 0.5)
    assert found.of("app") == {"five in 30s": TWO[1:]}
    assert not found.of("user")


def test_a_slot_that_is_over_permits_nothing():
    found = held(TWO[0])
    assert not found.use(NOON + 2)


def test_the_more_slots_were_missed_and_not_used_the_earlier_the_page_comes_back():
    found = held(TWO[0])
    assert found.lead == LEAD
    leads = []
    for _ in range(6):
        found.claimed(NOON + 2)
        leads.append(found.lead)
    assert leads == sorted(leads)
    assert leads[-1] == MOST_LEAD
    punctual = held(TWO[0])
    punctual.misses = 1
    punctual.claimed(NOON - 1)
    assert punctual.lead == 2 * LEAD
    assert punctual.use(NOON)
    assert punctual.lead == LEAD


def test_what_is_handed_back_is_held_no_more():
    found = held(*TWO)
    assert found.handed_back("app", NOON + 0.5, only_begun=True) == {"five in 30s": TWO[:1]}
    assert found.handed_back("app", NOON + 0.5) == {"five in 30s": TWO[1:]}
    assert not found.lanes

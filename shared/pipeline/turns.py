"""When a user's turn comes, where users are spread instead of all being fetched for at once. Pure."""

from datetime import datetime, timedelta

from shared.messages import StreamKey
from shared.pipeline.off_peak import put_off
from shared.pipeline.spec import OffPeak

HASHES = 2**64
"""How many digests of a key there are."""


def offset_of(key: StreamKey, stagger: timedelta) -> timedelta:
    """How far into the span this stream and user come: always the same, and evenly spread over users. Whole seconds."""
    return timedelta(seconds=int(stagger.total_seconds()) * int(key.digest(), 16) // HASHES)


def first_turn(
    key: StreamKey, stagger: timedelta, tick: datetime, now: datetime, hours: OffPeak | None = None
) -> datetime:
    """When the first page of a run that is due since `tick` may be fetched.

    Runs that are begun when the whole span is over, as after an outage, are spread from `now` on.
    """
    offset = offset_of(key, stagger)
    turn = (tick if now <= tick + stagger else now) + offset
    return turn if hours is None else put_off(hours, max(turn, now), offset)

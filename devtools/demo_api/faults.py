"""Which request goes wrong, and how.

Whether a request fails follows from (seed, user, stream, position, how many times it was tried), so two
servers with one seed behave alike. After `in_a_row` faults the same request succeeds.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

from devtools.demo_api.streams import Position


class Fault(StrEnum):
    """What can happen to one answer. A fault file gives a rate to some of these."""

    THROTTLED_SECONDS = "throttled_seconds"  # 429, Retry-After in seconds
    THROTTLED_DATE = "throttled_date"  # 429, Retry-After as an HTTP-date
    THROTTLED_BARE = "throttled_bare"  # 429, no Retry-After
    SERVER_ERROR = "server_error"  # 500
    BAD_GATEWAY = "bad_gateway"  # 502 with the HTML page of a proxy
    UNAVAILABLE = "unavailable"  # 503, Retry-After in seconds
    RESET_BEFORE = "reset_before"  # connection reset before the first byte
    RESET_MIDWAY = "reset_midway"  # connection reset in the middle of the body
    SLOW_DRIP = "slow_drip"  # the right answer, a few bytes at a time
    TRUNCATED_JSON = "truncated_json"  # 200, half a body that claims to be a whole one
    MALFORMED_JSON = "malformed_json"  # 200, all records and one comma too many
    TRANSIENT_IN_200 = "transient_in_200"  # 200, error code 2
    THROTTLE_IN_200 = "throttle_in_200"  # 200, error code 4
    HTML_LOGIN = "html_login"  # 200, a login page
    EMPTY_PAGE = "empty_page"  # no records, but a cursor to go on with
    REPEATED_PAGE = "repeated_page"  # the records, and the cursor of the same page again


MOVED_RECORD = "moved_record"  # not a faulty answer: an earlier record is updated while a page is read


@dataclass(frozen=True)
class Faults:
    """What may go wrong, and how often. Without arguments: nothing."""

    rates: Mapping[str, float] = field(default_factory=dict)  # share of requests, 0 to 1
    expired_users: int = 0  # users whose every request is a 401
    looping_users: int = 0  # users whose cursor repeats for ever
    retry_after_seconds: int = 1
    slow_drip_seconds: float = 3.0
    in_a_row: int = 3


NO_FAULTS = Faults()
DEFAULT_FAULTS = Faults(
    rates={
        Fault.THROTTLED_SECONDS.value: 0.003,
        Fault.THROTTLED_DATE.value: 0.002,
        Fault.THROTTLED_BARE.value: 0.002,
        Fault.SERVER_ERROR.value: 0.003,
        Fault.BAD_GATEWAY.value: 0.002,
        Fault.UNAVAILABLE.value: 0.003,
        Fault.RESET_BEFORE.value: 0.002,
        Fault.RESET_MIDWAY.value: 0.002,
        Fault.SLOW_DRIP.value: 0.001,
        Fault.TRUNCATED_JSON.value: 0.002,
        Fault.MALFORMED_JSON.value: 0.001,
        Fault.TRANSIENT_IN_200.value: 0.002,
        Fault.THROTTLE_IN_200.value: 0.001,
        Fault.HTML_LOGIN.value: 0.001,
        Fault.EMPTY_PAGE.value: 0.001,
        Fault.REPEATED_PAGE.value: 0.002,
        MOVED_RECORD: 0.03,
    },
    expired_users=2,
    looping_users=1,
)


class FaultPlan:
    """The decisions that follow from a fault file and a seed."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._seed = seed
        self._in_a_row = faults.in_a_row
        self._kinds = [Fault(name) for name in faults.rates if name != MOVED_RECORD]
        self._bounds = list(accumulate(faults.rates[kind] for kind in self._kinds))
        self._moved_rate = faults.rates.get(MOVED_RECORD, 0.0)

    def fault(self, user: str, stream: str, position: Position, attempt: int) -> Fault | None:
        """What happens to the attempt-th request (from 0) for a position; None: nothing."""
        if attempt % (self._in_a_row + 1) == self._in_a_row:
            return None
        index = bisect_right(self._bounds, self._draw(user, stream, position, attempt) / 2**64)
        return self._kinds[index] if index < len(self._kinds) else None

    def move(self, user: str, stream: str, position: Position) -> int | None:
        """Which earlier record moves while this page is read, as a large number to choose by; None: none."""
        draw = self._draw(user, stream, position, MOVED_RECORD)
        return draw if draw / 2**64 < self._moved_rate else None

    def _draw(self, *key: object) -> int:
        text = "|".join(map(str, (self._seed, *key)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())

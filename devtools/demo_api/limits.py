"""How fast a user and the whole app may call, and the headers that tell how much is left.

Each limit is a bucket after the generic cell rate algorithm: `rate` requests a second in the long run,
twice that many (at least two) at once.
"""

import math
from collections.abc import Callable, Mapping

from devtools.demo_api.graph_errors import GraphError, app_limit_reached, user_limit_reached

_IN_TIME = 1e-3  # so much too early is in time: seconds since the epoch leave floats no room for less


class Bucket:
    """One limit. Times are seconds since the epoch."""

    def __init__(self, rate: float) -> None:
        self.burst = max(2, math.ceil(2 * rate))
        self._interval = 1 / rate
        self.empty_at = 0.0  # when everything that was taken has flowed off again

    def wait(self, now: float) -> float:
        """Seconds until a request is allowed; 0 when it is now."""
        wait = self.empty_at - now - (self.burst - 1) * self._interval
        return wait if wait > _IN_TIME else 0.0

    def take(self, now: float) -> None:
        """Count one request."""
        self.empty_at = max(self.empty_at, now) + self._interval

    def used(self, now: float) -> float:
        """How full: 0 to 1."""
        return min(1.0, max(0.0, self.empty_at - now) / (self._interval * self.burst))

    def remaining(self, now: float) -> int:
        """How many requests would be allowed at once."""
        return math.floor(self.burst * (1 - self.used(now)) + _IN_TIME)


class Limits:
    """The limits of all users and of the app. A rate of 0 means unlimited."""

    def __init__(self, user_rate: float, app_rate: float) -> None:
        self._user_rate = user_rate
        self._app = Bucket(app_rate) if app_rate else None
        self._users: dict[str, Bucket] = {}

    def admit(self, user: str, now: float) -> dict[str, str]:
        """Count one request and return the headers for its answer.

        Raises GraphError 429, and counts nothing, when the app (code 4) or the user (code 17) is too fast.
        """
        bucket = self._bucket(user)
        self._refuse(self._app, app_limit_reached, bucket, now)
        self._refuse(bucket, user_limit_reached, bucket, now)
        for taken in (self._app, bucket):
            if taken:
                taken.take(now)
        return self._headers(bucket, now)

    def _bucket(self, user: str) -> Bucket | None:
        if self._user_rate and user not in self._users:
            self._users[user] = Bucket(self._user_rate)
        return self._users.get(user)

    def _refuse(
        self,
        limit: Bucket | None,
        error: Callable[..., GraphError],
        bucket: Bucket | None,
        now: float,
    ) -> None:
        wait = limit.wait(now) if limit else 0.0
        if wait:
            headers: Mapping[str, str] = {"Retry-After": str(math.ceil(wait)), **self._headers(bucket, now)}
            raise error(headers=headers)

    def _headers(self, bucket: Bucket | None, now: float) -> dict[str, str]:
        headers = {}
        if bucket:
            headers["X-RateLimit-Limit"] = str(bucket.burst)
            headers["X-RateLimit-Remaining"] = str(bucket.remaining(now))
            headers["X-RateLimit-Reset"] = str(math.ceil(max(bucket.empty_at, now)))
        if self._app:
            percent = round(100 * self._app.used(now))
            usage = f'{{"call_count":{percent},"total_cputime":{percent // 2},"total_time":{percent // 2}}}'
            headers["X-App-Usage"] = usage
        return headers

"""An API in memory: stable or moving, throttling, failing; it knows the truth."""

import random
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.pipeline.auth import Attachment
from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import Call, answer

HOST = "api.example.com"


@dataclass
class SimulatedApi:
    """Each user has `records`, `size` a page, ordered by update. `moving`: fetching a page may update a record that
    lies before the cursor, which then stands at the end once more. `trouble` is the chance of a bad answer,
    `ragged` that of a page with fewer records than asked for, perhaps none, `away` that of a link to another
    host. `leaks` lists credentials that arrived
    somewhere else."""

    rng: random.Random
    records: int
    size: int
    moving: float = 0.0
    trouble: float = 0.0
    ragged: float = 0.0
    away: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    _complete: set[str] = field(default_factory=set)
    _rows: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Per user (position, id, version), positions ascending."""

    async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
        call = Call(user, request.url, dict(attachment.headers).get("Authorization", ""))
        self.calls[user] += 1
        if urlsplit(request.url).hostname != HOST:
            self.leaks.append(user)
            return answer({"data": [], "next": None})
        if call.credential != f"Bearer {token_of(user)}":
            return answer({"error": {"code": 190}}, 401)
        if self.rng.random() < self.trouble:
            return self._bad_answer()
        return self._page(user, int(call.query("after", "-1")))

    async def close(self) -> None:
        """Nothing is open."""

    def truth(self, user: str) -> dict[int, int]:
        """Id → latest version of every record."""
        return {identity: version for _, identity, version in self._of(user)}

    def _of(self, user: str) -> list[tuple[int, int, int]]:
        return self._rows.setdefault(user, [(number, number, 1) for number in range(self.records)])

    def _page(self, user: str, after: int) -> Response:
        rows = self._of(user)
        found = [row for row in rows if row[0] > after]
        size = self.rng.randrange(self.size) if self.rng.random() < self.ragged else self.size
        page, more = found[:size], len(found) > size
        if not more:
            self._complete.add(user)  # from now on a stray fetch must not move what no run will see again
        if more and after >= 0 and user not in self._complete and self.rng.random() < self.moving:
            self._move(rows, after)
        data = [{"id": identity, "version": version} for _, identity, version in page]
        following = str(page[-1][0] if page else after) if more else None
        host = "elsewhere.example.net" if self.rng.random() < self.away else HOST
        return _with_every_kind_of_next(data, following, host, user)

    def _move(self, rows: list[tuple[int, int, int]], after: int) -> None:
        earlier = [row for row in rows if row[0] <= after and row[2] < 3]
        if earlier:
            moved = self.rng.choice(earlier)
            rows.remove(moved)
            rows.append((rows[-1][0] + 1, moved[1], moved[2] + 1))

    def _bad_answer(self) -> Response:
        return self.rng.choice(
            [
                answer({}, 429, retry_after="20"),
                answer({}, 429),
                answer({}, 503),
                answer({"error": {"code": 2}}),
                Response(200, {"content-type": "text/html"}, b"<html>log in</html>"),
                Response(200, {"content-type": "application/json"}, b'{"data": [{"id": 1'),
            ]
        )


def _with_every_kind_of_next(data: list[dict[str, int]], following: str | None, host: str, user: str) -> Response:
    """Cursor, link in the body (which repeats the token, as some APIs do) and link in the header."""
    if following is None:
        return answer({"data": data, "next": None})
    link = f"https://{host}/v1/me/posts?after={following}&access_token={token_of(user)}"
    return answer({"data": data, "next": following, "link": link}, link=f'<{link}>; rel="next"')


def token_of(user: str) -> str:
    return f"canary-{user}-secret"

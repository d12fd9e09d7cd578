"""An API in memory: stable or moving, throttling, failing, lying; it knows the truth and what it has shown."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, unquote, urlsplit

from shared.messages import StreamKey
from shared.pipeline.auth import Attachment
from shared.pipeline.requests import PageRequest
from shared.pipeline.responses import Response
from tests.fakes.scripted_source import answer
from tests.fakes.token_server import TokenServer
from tests.simulation.troubles import PATIENT, REFUSALS, TROUBLES
from tests.simulation.workload import BEGINNING, Workload, depth_of, kind_of

HOST = "api.example.com"
BIG = 2**53 + 1
"""A float would lose it."""

ODD = "\ud800 \x00 \u2028 \U0001f4a1"
"""Half a surrogate pair, NUL, a line separator and what needs four bytes."""

NEW = 1000
"""Ids of records that were not there in the beginning are at least so high."""

EMPTY = "~"
"""Stands at the end of a cursor that an empty page has named: it leads on from the same place, but is another one."""

BLOCKED = 300
"""Seconds for which somebody who asked for too much is told to wait."""

YOUNG = 660.0
"""Seconds for which an access token is never ended early: while it counts as fresh, by a clock that may jump back."""

Shown = tuple[int, int]
"""Id and version of a record."""


@dataclass(frozen=True)
class Fetch:
    """One call that showed something: second, stream, where the page starts, and its records."""

    at: float
    key: StreamKey
    start: str
    records: tuple[Shown, ...]


@dataclass
class SimulatedApi:
    """What it does is said in workload.py. `accepted` is the token of each user that it lets in now; `leaks` lists
    users whose credential arrived somewhere else; `bad` counts answers that were no page."""

    rng: random.Random
    work: Workload
    now: Callable[[], float]
    token_server: TokenServer | None = None
    accepted: dict[str, str] = field(default_factory=dict)
    uses: list[tuple[float, str, str]] = field(default_factory=list)
    """Second, user and access token of every call, where tokens have to be asked for."""
    calls: list[tuple[float, str]] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    blocks: list[tuple[float, str, str | None]] = field(default_factory=list)
    """Second at which an app, or one of its users, was told to wait for BLOCKED seconds."""
    asked: list[tuple[float, StreamKey]] = field(default_factory=list)
    """Second of every call, and what it was about."""
    leaks: list[str] = field(default_factory=list)
    bad: int = 0
    _complete: set[StreamKey] = field(default_factory=set)
    _rows: dict[StreamKey, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Per stream and user (position, id, version), positions ascending."""

    async def fetch(self, user: str, request: PageRequest, attachment: Attachment) -> Response:
        parts = urlsplit(request.url)
        self.calls.append((self.now(), user))
        if parts.hostname == HOST:
            self.asked.append((self.now(), StreamKey(*parts.path.split("/")[2:4], user)))
        if parts.hostname != HOST:
            self.leaks.append(user)
            return answer({"data": [], "next": None})
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if not self._lets_in(user, dict(attachment.headers).get("Authorization", "").removeprefix("Bearer ")):
            return self._bad(REFUSALS)
        if self.rng.random() < self.work.trouble:
            return self._bad(PATIENT if self.rng.random() < 0.005 else TROUBLES)
        if "size" in query and int(query["size"]) > self.rng.randint(1, self.work.adaptive):
            self.bad += 1
            return answer({}, 413)
        if self.work.blocking and self.rng.random() < self.work.blocking:
            return self._blocked(parts.path.split("/")[2], user)
        if query.keys() & {"after", "offset"} and self.rng.random() < self.work.expiring:
            self.bad += 1
            return answer({"error": {"code": "expired"}}, 400)
        _, _, pipeline, stream, *above = parts.path.split("/")
        key = StreamKey(pipeline, stream, user)
        return self._below(key, above[0], query) if above else self._page(key, query)

    async def close(self) -> None:
        """Nothing is open."""

    def truth(self, key: StreamKey) -> dict[int, int]:
        """Id → latest version of every record that is there."""
        depth, root = depth_of(key.stream), replace(key, stream=kind_of(key.stream))
        found = {identity: version for _, identity, version in self._of(root)}
        for _ in range(depth):
            found = {row[1]: row[2] for parent in found for row in self._branches(parent)}
        return found

    def write(self, keys: list[StreamKey]) -> None:
        """Between two runs: records are written anew, or for the first time."""
        for key in keys:
            if depth_of(key.stream):
                continue
            rows = self._of(key)
            for _ in range(self.work.written):
                position = max((row[0] for row in rows), default=-1) + 1
                if rows and self.rng.random() < 0.5:
                    moved = self.rng.choice(rows)
                    rows.remove(moved)
                    rows.append((position, moved[1], moved[2] + 1))
                else:
                    rows.append((position, NEW + position, 1))

    def _lets_in(self, user: str, token: str) -> bool:
        if self.token_server is None:
            return token == self.accepted.get(user)
        self.uses.append((self.now(), user, token))
        granted = self.token_server.granted.get(token)
        if granted and self.now() - granted.at > YOUNG and self.rng.random() < self.work.early:
            self.token_server.end_access(user)
        if not self.token_server.accepts(user, token):
            return False
        self.accepted[user] = token
        return True

    def _bad(self, answers: tuple[Callable[[], Response], ...]) -> Response:
        self.bad += 1
        return self.rng.choice(answers)()

    def _blocked(self, app: str, user: str) -> Response:
        """Too much was asked, by this user or by all of them."""
        self.bad += 1
        if self.rng.random() < 0.5:
            self.blocks.append((self.now(), app, None))
            return answer({}, 429, **{"x-app-usage": '{"call_count": 100, "estimated_time_to_regain_access": 5}'})
        self.blocks.append((self.now(), app, user))
        return answer({}, 429, **{"retry-after": str(BLOCKED)})

    def _of(self, key: StreamKey) -> list[tuple[int, int, int]]:
        is_huge = self.work.huge and key.user == self.work.names[0]
        count = self.work.huge if is_huge else self.work.records
        return self._rows.setdefault(key, [(number, number, 1) for number in range(count)])

    def _branches(self, parent: int) -> list[tuple[int, int, int]]:
        """What a record leads to; it stays as it is."""
        return [(number, parent * 10 + number, 1) for number in range(self.work.branches)]

    def _below(self, key: StreamKey, parents: str, query: dict[str, str]) -> Response:
        """The page of what these records lead to, by position."""
        rows = [row for parent in unquote(parents).split(",") for row in self._branches(int(parent))]
        after = int(query.get("after", "-1"))
        page, more = rows[after + 1 : after + 1 + self.work.size], len(rows) > after + 1 + self.work.size
        following = str(after + len(page)) if more else None
        start = f"{unquote(parents)}@{query.get('after', '')}"
        return self._answer(key, start, page, {"next": following})

    def _page(self, key: StreamKey, query: dict[str, str]) -> Response:
        since, until = (query.get(edge) for edge in ("since", "until"))
        rows = [row for row in self._of(key) if _is_between(row[0], since, until)][: self.work.most]
        match key.stream:
            case "page_number":
                return self._counted(key, rows, query, query["page"], (int(query["page"]) - 1) * self.work.size)
            case "offset":
                return self._counted(key, rows, query, query["offset"], int(query["offset"]))
            case "single_page":
                return self._answer(key, "", rows, {})
            case _:
                return self._behind(key, rows, query)

    def _size(self, query: dict[str, str]) -> int:
        return int(query.get("size", self.work.size))

    def _counted(
        self, key: StreamKey, rows: list[tuple[int, int, int]], query: dict[str, str], start: str, first: int
    ) -> Response:
        page = rows[first : first + self._size(query)]
        total = len(rows)
        if page:
            self._change(key, self._of(key), page[-1][0])
        else:
            self._complete.add(key)
        return self._answer(key, start, page, {"total": total})

    def _behind(self, key: StreamKey, rows: list[tuple[int, int, int]], query: dict[str, str]) -> Response:
        """By position: cursors and links."""
        start = query.get("after", "")
        if self.work.newest_first:
            return self._before(key, rows, start)
        since = "".join(f"&{edge}={query[edge]}" for edge in ("since", "until") if edge in query)
        after = int(start.rstrip(EMPTY) or "-1")
        found = [row for row in rows if row[0] > after]
        size = self.rng.randrange(self.work.size) if self.rng.random() < self.work.ragged else self._size(query)
        page, more = found[:size], len(found) > size
        if key.user in self.work.looping_users:
            return self._answer(key, start, page, self._next(key, self._again(key, start, page, more), since))
        if not more:
            self._complete.add(key)  # from now on a stray fetch must not move what no run will see again
        elif after >= 0:
            self._change(key, self._of(key), after)
        following = (str(page[-1][0]) if page else (start or "-1") + EMPTY) if more else None
        return self._answer(key, start, page, self._next(key, following, since))

    def _before(self, key: StreamKey, rows: list[tuple[int, int, int]], start: str) -> Response:
        """The newest first."""
        found = [row for row in reversed(rows) if not start or row[0] < int(start)]
        page, more = found[: self.work.size], len(found) > self.work.size
        return self._answer(key, start, page, self._next(key, str(page[-1][0]) if more else None, ""))

    def _again(self, key: StreamKey, start: str, page: list[tuple[int, int, int]], more: bool) -> str:
        """Every other user is told the same cursor again, the rest are led in a circle."""
        if self.work.names.index(key.user) % 2:
            return start or "-1"
        return str(page[-1][0]) if more and page else "-1"

    def _next(self, key: StreamKey, following: str | None, since: str) -> dict[str, object]:
        """Cursor, link and parameters in the body (which repeat the token, as some APIs do) and link in the header."""
        if following is None:
            return {"next": None}
        host = "elsewhere.example.net" if self.rng.random() < self.work.away else HOST
        token = self.accepted.get(key.user)
        return {
            "next": following,
            "following": {"after": following, "shown": 2, "access_token": token},
            "link": f"https://{host}/v1/{key.pipeline}/{key.stream}?after={following}{since}&access_token={token}",
        }

    def _answer(
        self, key: StreamKey, start: str, page: list[tuple[int, int, int]], more: dict[str, object]
    ) -> Response:
        self.fetches.append(Fetch(self.now(), key, start, tuple((row[1], row[2]) for row in page)))
        data = [
            {
                "id": identity,
                "version": version,
                "owner": key.user,
                "big": BIG,
                "odd": ODD,
                "changed": _changed(position),
            }
            for position, identity, version in page
        ]
        headers = {"link": f'<{more["link"]}>; rel="next"'} if "link" in more else {}
        if self.work.pausing and self.rng.random() < self.work.pausing:
            headers["backoff"] = "40"
        return answer({"data": data, **more}, **headers)

    def _change(self, key: StreamKey, rows: list[tuple[int, int, int]], behind: int) -> None:
        """Update or delete a record that has been shown, as long as a run may still see what comes of it."""
        if key in self._complete:
            return
        earlier = [row for row in rows if row[0] <= behind and row[2] < 3]
        if earlier and self.rng.random() < self.work.moving:
            moved = self.rng.choice(earlier)
            rows.remove(moved)
            rows.append((rows[-1][0] + 1 if rows else moved[0] + 1, moved[1], moved[2] + 1))
        elif earlier and self.rng.random() < self.work.deleting:
            rows.remove(self.rng.choice(earlier))


def _changed(position: int) -> int:
    """When the record at this position was changed, in seconds since 1970."""
    return int(BEGINNING.timestamp()) + position * 3600


def _is_between(position: int, since: str | None, until: str | None) -> bool:
    changed = _changed(position)
    return (since is None or changed >= int(since)) and (until is None or changed < int(until))

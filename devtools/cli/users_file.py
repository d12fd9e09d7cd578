"""Users from JSON Lines, one per line: `{"user": "u01", "credentials": {"token": "…"}, "params": {…}}`.

A wrong line is told by file and line, with what was found and what is allowed. Credentials are never shown, nor is
anything else of a line that might hold one.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.errors import BadInput
from shared.pipeline.spec import Pipeline
from shared.users import User

KEYS = ("user", "credentials", "params", "expires_at", "weight")
MOST_MISTAKES = 20
HEAVIEST = 50
LONGEST_ID = 256
"""Characters; an encoded id must fit a table key several times over."""


@dataclass(frozen=True, slots=True)
class UsersFile:
    """The users, and for messages the place each of them comes from."""

    users: dict[str, User]
    places: dict[str, str]

    def require(self, pipelines: Iterable[Pipeline]) -> None:
        """Raises BadInput unless every user has every credential and parameter that a pipeline file names."""
        mistakes = [
            f"{self.places[user.id]}: user {user.id}: found no {kind} {name!r}, allowed: what pipeline {pipeline} names"
            for user in self.users.values()
            for pipeline, kind, name in _missing(user, pipelines)
        ]
        _raise_any(mistakes)


def read_users(file: Path) -> UsersFile:
    """`-` is standard input. Raises BadInput, a line per mistake."""
    users: dict[str, User] = {}
    places: dict[str, str] = {}
    mistakes: list[str] = []
    for number, line in enumerate(_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            user = _user(line, users, places)
        except BadInput as mistake:
            mistakes.append(f"{file}:{number}: {mistake}")
            continue
        users[user.id], places[user.id] = user, f"{file}:{number}"
    _raise_any(mistakes)
    if not users:
        raise BadInput(f'{file}: found no user, allowed: one {{"user": …, "credentials": …}} per line')
    return UsersFile(users, places)


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file}: found {error.strerror}, allowed: a readable file of users") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file}: found bytes that are not UTF-8, allowed: JSON Lines in UTF-8") from None


def _user(line: str, known: dict[str, User], places: dict[str, str]) -> User:
    try:
        values = json.loads(line)
    except ValueError:
        raise BadInput('found no JSON, allowed: {"user": "u01", "credentials": {…}, "params": {…}}') from None
    if not isinstance(values, dict):
        raise BadInput(f"found {_kind(values)}, allowed: an object with user, credentials, params")
    if unknown := sorted(values.keys() - set(KEYS)):
        raise BadInput(f"found an unknown key {unknown[0]!r}, allowed: {', '.join(KEYS)}")
    user = User(
        _id(values.get("user")),
        _credentials(values.get("credentials", {})),
        _params(values.get("params", {})),
        expires_at=_moment(values.get("expires_at")),
        weight=_weight(values.get("weight", 1)),
    )
    if user.id in known:
        raise BadInput(f"user: found {user.id!r}, which {places[user.id]} has; allowed: each user once")
    return user


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        found = f"{len(value)} characters" if isinstance(value, str) else _kind(value)
        raise BadInput(f"user: found {found}, allowed: a text of 1 to {LONGEST_ID} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput("user: found half a surrogate pair, allowed: text that UTF-8 can write") from None
    return value


def _credentials(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadInput(f"credentials: found {_kind(value)}, allowed: an object of texts")
    for name, secret in value.items():
        if not isinstance(secret, str) or not secret:
            found = "an empty text" if secret == "" else _kind(secret)
            raise BadInput(f"credentials.{name}: found {found}, allowed: a text that is not empty")
    return value


def _params(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"params: found {_kind(value)}, allowed: an object")
    for name, each in value.items():
        if isinstance(each, dict | list) or each is None:
            raise BadInput(f"params.{name}: found {_kind(each)}, allowed: a text, a number, true or false")
    return value


def _moment(value: Any) -> datetime | None:
    """When the credentials expire; without an offset it means UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadInput(f"expires_at: found {_kind(value)}, allowed: such as 2026-12-31T00:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _weight(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= HEAVIEST:
        raise BadInput(f"weight: found {_kind(value)}, allowed: a whole number from 1 to {HEAVIEST}")
    return value


def _missing(user: User, pipelines: Iterable[Pipeline]) -> Iterator[tuple[str, str, str]]:
    for pipeline in pipelines:
        for name in sorted(pipeline.credentials - user.credentials.keys()):
            yield pipeline.pipeline, "credential", name
        for name in sorted(pipeline.params - user.params.keys()):
            yield pipeline.pipeline, "parameter", name


def _raise_any(mistakes: list[str]) -> None:
    if mistakes:
        more = len(mistakes) - MOST_MISTAKES
        shown = mistakes[:MOST_MISTAKES] + ([f"… and {more} more"] if more > 0 else [])
        raise BadInput("\n".join(shown))


def _kind(value: Any) -> str:
    """What it is, never what it says: it may be a secret in the wrong place."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")

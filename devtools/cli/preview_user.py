"""The user of a preview: from a file of users, from options, or from both.

A secret on the command line stays in the shell's history and shows in the list of processes; so a value may say where
it is found instead.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from devtools.cli.users_file import UsersFile, read_users
from shared.errors import BadInput
from shared.pipeline.spec import Pipeline
from shared.users import User

FORMS = "NAME=VALUE, NAME=@env:VARIABLE or NAME=@file:FILE (- is standard input)"


def user_of(name: str, file: Path | None, credentials: list[str], params: list[str], pipeline: Pipeline) -> User:
    """The user with everything that the pipeline names; options count more than the file. Raises BadInput."""
    user, place = _from_file(name, file) if file else (User(name), "options")
    user = replace(
        user,
        credentials=user.credentials | _pairs("--credential", credentials),
        params=user.params | _pairs("--param", params),
    )
    UsersFile({user.id: user}, {user.id: place}).require([pipeline])
    return user


def _from_file(name: str, file: Path) -> tuple[User, str]:
    known = read_users(file)
    if name not in known.users:
        raise BadInput(f"--user {name}: found nobody of this name in {file}, allowed: a user of this file")
    return known.users[name], known.places[name]


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise BadInput(f"{option}: found no name or no =, allowed: {FORMS}")
        found[name] = _value(f"{option} {name}", value)
    return found


def _value(option: str, value: str) -> str:
    """Never shown in an error: it may be a secret."""
    if value.startswith("@env:"):
        value, where = os.environ.get(value.removeprefix("@env:"), ""), value
    elif value.startswith("@file:"):
        value, where = _text(option, value.removeprefix("@file:")).rstrip("\r\n"), value
    else:
        where = "an empty text"
    if not value:
        raise BadInput(f"{option}: found nothing in {where}, allowed: {FORMS}")
    return value


def _text(option: str, name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{option}: found {error.strerror} at {name}, allowed: a readable file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{option}: found bytes in {name} that are not UTF-8, allowed: text") from None

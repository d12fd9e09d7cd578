"""`headframe users`: whose credentials mine."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from devtools.cli.connection import Data, with_services
from devtools.cli.terminal import results
from devtools.cli.users_file import read_users
from shared.errors import BadInput
from shared.services import Services
from shared.users import User, UserState

Names = Annotated[list[str], typer.Argument(metavar="USER...")]

app = typer.Typer(no_args_is_help=True, help="Add, list, pause, resume or remove users.", rich_markup_mode=None)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines; - reads standard input.")],
    data: Data = None,
) -> None:
    """Add users, or give those that are there new credentials and parameters.

    Example: headframe users add users.jsonl

    Each line: {"user": "u01", "credentials": {"token": "..."}, "params": {"region": "eu"}}
    """
    users = read_users(file).users.values()

    async def put(services: Services) -> None:
        for user in users:
            await services.users.put(user)

    with_services(data, put)
    print(f"added {len(users)}")


@app.command("list")
def list_users(data: Data = None) -> None:
    """List the users: state, names of their credentials (never the values), parameters.

    Example: headframe users list --data ./data
    """

    async def read(services: Services) -> list[User]:
        return [user async for user in services.users.all()]

    table = Table("user", "state", "weight", "credentials", "params", "refused by", box=None)
    for user in with_services(data, read):
        names = ", ".join(sorted(user.credentials))
        params = ", ".join(f"{name}={value}" for name, value in sorted(user.params.items()))
        table.add_row(user.id, str(user.state), str(user.weight), names, params, ", ".join(sorted(user.rejected)))
    results().print(table)


@app.command()
def pause(users: Names, data: Data = None) -> None:
    """Stop mining for these users; nobody else is disturbed, nothing is lost.

    Example: headframe users pause u07 u12
    """
    _set_state(users, UserState.PAUSED, data)


@app.command()
def resume(users: Names, data: Data = None) -> None:
    """Mine for these users again. Their parked runs go on when they are due.

    Example: headframe users resume u07
    """
    _set_state(users, UserState.ACTIVE, data)


@app.command()
def remove(users: Names, data: Data = None) -> None:
    """Forget these users and their credentials. What was mined for them stays in the output.

    Example: headframe users remove u07
    """

    async def forget(services: Services) -> None:
        for user in await _known(users, services):
            await services.users.remove(user.id)
            await services.tokens.forget(user.id)

    with_services(data, forget)
    print(f"removed {len(users)}")


def _set_state(names: list[str], state: UserState, data: Path | None) -> None:
    async def change(services: Services) -> None:
        for user in await _known(names, services):
            await services.users.change(replace(user, state=state))

    with_services(data, change)
    print(f"{state} {len(names)}")


async def _known(names: list[str], services: Services) -> list[User]:
    """All or nothing: a name that is unknown is refused before anything is changed."""
    found = [await services.users.get(name) for name in names]
    if unknown := [name for name, user in zip(names, found, strict=True) if user is None]:
        raise BadInput(f"user {unknown[0]}: found nobody, allowed: a user of `headframe users list`")
    return [user for user in found if user is not None]

"""Users in their table, on the in-memory fake."""

import dataclasses
from datetime import UTC, datetime

from cryptography.fernet import Fernet

from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.user_table import UserTable
from shared.users import User, UserState
from tests.fakes.memory_tables import MemoryTable

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NEEDED = frozenset({"token"})


def table_with(rows: MemoryTable) -> UserTable:
    return UserTable(rows, CredentialCipher(Fernet.generate_key().decode()))


async def test_a_user_whose_credentials_no_key_opens_stops_nobody_else():
    """Read under another key, that user alone can't be mined, and says why."""
    rows = MemoryTable()
    await table_with(rows).put(User("ann", {"token": "of ann"}))
    users = table_with(rows)
    await users.put(User("bob", {"token": "of bob"}))
    reasons = {user.id: user.why_not("social", NEEDED, NOW) async for user in users.all()}
    assert reasons == {"ann": "credential_unreadable", "bob": None}


async def test_credentials_that_no_key_opens_are_kept_for_the_right_key():
    """Writing the user back must not replace what could not be read."""
    rows = MemoryTable()
    right = table_with(rows)
    await right.put(User("ann", {"token": "of ann"}))
    wrong = table_with(rows)
    read = await wrong.get("ann")
    assert read is not None
    await wrong.change(dataclasses.replace(read, state=UserState.PAUSED))
    kept = await right.get("ann")
    assert kept is not None
    assert (kept.credentials, kept.state) == ({"token": "of ann"}, UserState.PAUSED)


async def test_a_user_comes_back_as_written():
    users = table_with(MemoryTable())
    user = User("ann", {"token": "of ann"}, {"size": 3}, UserState.PAUSED, NOW, weight=3, rejected=frozenset({"shop"}))
    await users.put(user)
    assert await users.get("ann") == user

"""Users, a partition each. Their credentials are stored encrypted."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from shared.adapters import keys
from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.tables import Row, Table, Value
from shared.users import User, UserState


class UserTable:
    def __init__(self, table: Table, cipher: CredentialCipher):
        self._table = table
        self._cipher = cipher

    async def get(self, user_id: str) -> User | None:
        row = await self._table.get(keys.encode(user_id), "user")
        return self._to_user(row) if row else None

    async def put(self, user: User) -> None:
        """Add the user, or take the place of the one with this id: new credentials clear old rejections."""
        await self._table.put(self._to_row(replace(user, etag=None)))

    async def change(self, user: User) -> None:
        """Write back a user that was read. Raises Conflict if somebody else wrote."""
        await self._table.replace(self._to_row(user))

    async def remove(self, user_id: str) -> None:
        await self._table.delete(Row(keys.encode(user_id), "user"))

    async def all(self, after: str | None = None) -> AsyncIterator[User]:
        """In a stable order; `after` is the id of a user to go on behind."""
        behind = keys.encode(after) if after is not None else None
        async for row in self._table.scan(key="user", after=behind):
            yield self._to_user(row)

    def _to_row(self, user: User) -> Row:
        values: dict[str, Value] = {
            "user": user.id,
            "state": str(user.state),
            "params": json.dumps(user.params),
            "credentials": user.sealed or self._cipher.encrypt(user.credentials),
            "rejected": json.dumps(sorted(user.rejected)),
        }
        if user.expires_at is not None:
            values["expires_at"] = user.expires_at
        if user.weight != 1:
            values["weight"] = user.weight
        return Row(keys.encode(user.id), "user", values, user.etag)

    def _to_user(self, row: Row) -> User:
        values: dict[str, Any] = row.values
        sealed: bytes = values["credentials"]
        opened = self._cipher.decrypt(sealed)
        return User(
            id=values["user"],
            credentials=opened or {},
            sealed=sealed if opened is None else None,
            params=json.loads(values["params"]),
            state=UserState(values["state"]),
            expires_at=values.get("expires_at"),
            weight=values.get("weight", 1),
            rejected=frozenset(json.loads(values["rejected"])),
            etag=row.etag,
        )

"""Access tokens, a row for each user and pipeline. The tokens are stored encrypted.

Who renews a token first writes a short lease into the row. The lease keeps calls few; what keeps tokens is the
`generation`: a new token is stored only over the generation that it was renewed from, whoever holds the lease by then.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.adapters import keys
from shared.adapters.credential_cipher import CredentialCipher
from shared.adapters.tables import Row, Table, Value
from shared.errors import AlreadyExists, Conflict


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """The tokens of one user for one pipeline; `access_token` "" where there are none.

    `seed` is the fingerprint of the credential that they grew from. From `renew_at` on they are renewed. Until
    `leased_until` only `lease_owner` asks the token endpoint, nobody if that is "". What no key of ours opens
    `is_sealed`: it must not be written over. Tokens never show in `repr`.
    """

    user: str
    pipeline: str
    generation: int = 0
    seed: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    renew_at: datetime | None = None
    lease_owner: str = ""
    leased_until: datetime | None = None
    is_sealed: bool = False
    etag: str | None = field(default=None, compare=False, repr=False)

    def leased(self, owner: str, until: datetime) -> "StoredTokens":
        return replace(self, lease_owner=owner, leased_until=until)

    def renewed(self, seed: str, access_token: str, refresh_token: str, renew_at: datetime) -> "StoredTokens":
        """The next generation, free of any lease."""
        return StoredTokens(
            self.user, self.pipeline, self.generation + 1, seed, access_token, refresh_token, renew_at, etag=self.etag
        )


class TokenTable:
    def __init__(self, table: Table, cipher: CredentialCipher):
        self._table = table
        self._cipher = cipher

    async def read(self, user: str, pipeline: str) -> StoredTokens:
        """Without a generation where there are none yet."""
        row = await self._table.get(keys.encode(user), keys.encode(pipeline))
        return self._to_tokens(row) if row else StoredTokens(user, pipeline)

    async def write(self, tokens: StoredTokens) -> StoredTokens:
        """Raises Conflict if somebody else wrote since `tokens` were read."""
        row = self._to_row(tokens)
        try:
            etag = await (self._table.insert(row) if row.etag is None else self._table.replace(row))
        except AlreadyExists:
            raise Conflict("somebody else was first") from None
        return replace(tokens, etag=etag)

    async def forget(self, user: str) -> None:
        """Every token of this user."""
        async for row in self._table.scan(partition=keys.encode(user)):
            await self._table.delete(replace(row, etag=None))

    def _to_row(self, tokens: StoredTokens) -> Row:
        secrets = {
            "seed": tokens.seed,
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
        }
        values: dict[str, Value] = {
            "user": tokens.user,
            "pipeline": tokens.pipeline,
            "generation": tokens.generation,
            "credentials": self._cipher.encrypt(secrets),
            "lease_owner": tokens.lease_owner,
        }
        moments = {"renew_at": tokens.renew_at, "leased_until": tokens.leased_until}
        values |= {name: moment for name, moment in moments.items() if moment is not None}
        return Row(keys.encode(tokens.user), keys.encode(tokens.pipeline), values, tokens.etag)

    def _to_tokens(self, row: Row) -> StoredTokens:
        values: dict[str, Any] = row.values
        found = self._cipher.decrypt(values["credentials"])
        opened = found or {}
        return StoredTokens(
            user=values["user"],
            pipeline=values["pipeline"],
            generation=values["generation"],
            seed=opened.get("seed", ""),
            access_token=opened.get("access_token", ""),
            refresh_token=opened.get("refresh_token", ""),
            renew_at=values.get("renew_at"),
            lease_owner=values["lease_owner"],
            leased_until=values.get("leased_until"),
            is_sealed=found is None,
            etag=row.etag,
        )

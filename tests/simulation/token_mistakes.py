"""Known mistakes with access tokens, as replacements of production code (see mutants.py)."""

import dataclasses
from typing import Any

import miners.access
import miners.miner
from shared.adapters.token_table import StoredTokens, TokenTable
from shared.errors import InvalidCredential
from shared.services import Services

Replacement = tuple[Any, str, Any]


async def _lease_not_looked_at(self: TokenTable, user: str, pipeline: str) -> StoredTokens:
    return dataclasses.replace(await _READ(self, user, pipeline), lease_owner="", leased_until=None)


async def _leases_not_written(self: TokenTable, tokens: StoredTokens) -> StoredTokens:
    """Whoever finds no token asks for one."""
    return tokens if tokens.lease_owner else await _WRITE(self, tokens)


async def _used_first(claim: Any, renewed: StoredTokens, services: Services) -> StoredTokens:
    """The page is fetched, committed and its continuation sent before the token is stored."""
    services.tokens.__dict__.setdefault("_later", {})[claim.user.id] = renewed
    return renewed


async def _late_write(pipeline: Any, user: Any, services: Services, use: Any) -> Any:
    try:
        return await _WITH_ACCESS(pipeline, user, services, use)
    finally:
        renewed = services.tokens.__dict__.get("_later", {}).pop(user.id, None)
        if renewed is not None:
            await services.tokens.write(renewed)


def _first_refresh_token_kept(
    self: StoredTokens, seed: str, access_token: str, refresh_token: str, renew_at: Any
) -> StoredTokens:
    return _RENEWED(self, seed, access_token, self.refresh_token or refresh_token, renew_at)


async def _blind_write(self: TokenTable, tokens: StoredTokens) -> StoredTokens:
    return dataclasses.replace(tokens, etag=await self._table.put(self._to_row(tokens)))


async def _any_refusal_counts(leased: StoredTokens, error: Any, services: Services) -> None:
    try:
        await _LEASE_ENDED(leased, error, services)
    except miners.access.RenewedElsewhere:
        if not isinstance(error, InvalidCredential):
            raise


async def _every_refusal_is_conclusive(*_: Any) -> bool:
    return True


def _good_for_ever(stored: StoredTokens, claim: Any, refused: int | None, now: Any) -> bool:
    return bool(stored.access_token) and stored.seed == claim.seed


_READ, _WRITE = TokenTable.read, TokenTable.write
_RENEWED = StoredTokens.renewed
_WITH_ACCESS = miners.access.with_access
_LEASE_ENDED = miners.access._lease_ended

ROTATING = ("tokens rotate", "tokens rotate, several streams")

TOKEN_MISTAKES: tuple[tuple[str, tuple[Replacement, ...], tuple[str, ...]], ...] = (
    ("lease of a token ignored", ((TokenTable, "read", _lease_not_looked_at),), ROTATING),
    ("token asked for without a lease", ((TokenTable, "write", _leases_not_written),), ROTATING),
    (
        "token used before it is stored",
        ((miners.access, "_stored", _used_first), (miners.miner, "with_access", _late_write)),
        ROTATING,
    ),
    ("old refresh token kept", ((StoredTokens, "renewed", _first_refresh_token_kept),), ROTATING),
    ("blind upsert of tokens", ((TokenTable, "write", _blind_write),), ROTATING),
    (
        "refusal of a refresh token believed without its lease",
        ((miners.access, "_lease_ended", _any_refusal_counts),),
        ("trouble at the token endpoint",),
    ),
    (
        "any refusal of an access token believed",
        ((miners.access, "_is_conclusive", _every_refusal_is_conclusive),),
        ("tokens end early", "tokens rotate, clocks off"),
    ),
    ("access token believed for ever", ((miners.access, "_is_good", _good_for_ever),), ROTATING),
    (
        "another credential not noticed",
        ((miners.access, "seed_of", lambda *_: "seed"),),
        ("refresh tokens are replaced",),
    ),
)
"""Name, replacements, and the workloads that can show it."""

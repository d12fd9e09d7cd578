"""Access: the token that a user's pages are fetched with, where the source wants one that has to be asked for.

    1 stored     a token that grew from the user's credential and is not about to end: use it
    2 lease      somebody else is asking for one? wait a moment, or come back later
    3 exchange   ask the token endpoint
    4 store      what it granted, encrypted; not before that
    5 use        fetch. Refused though it should be good: have it renewed once, fetch again

A refresh token is often good for one exchange. So an answer is stored as soon as it is there, over the generation it
was renewed from and whoever holds the lease by then; a refusal counts only for whom still holds it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from shared.adapters.token_table import StoredTokens
from shared.errors import (
    Conflict,
    HeadframeError,
    InvalidCredential,
    SourceError,
    StorageError,
    StorageUnavailable,
    TemporaryFailure,
)
from shared.log import remember_secrets
from shared.pipeline.access_tokens import TokenAuth, Tokens, read_tokens, renew_at, seed_of, token_request
from shared.pipeline.spec import Pipeline
from shared.pipeline.templates import Scopes
from shared.services import Services
from shared.users import User

LOOKS = 8
PAUSE = 0.25
"""Seconds; so often, and with this pause, it is looked whether another worker has a new token: two seconds."""

LATER = timedelta(seconds=5)
"""After about this a page comes back whose token another worker is still asking for."""

SPARE = timedelta(seconds=30)
"""A lease is longer than a request may take by this."""

FRESH = timedelta(seconds=60)
"""Only the refusal of a token that was granted within this says something about the credential."""

T = TypeVar("T")


class RenewedElsewhere(HeadframeError):
    """Another worker is asking for a token, or the endpoint wants to be left alone: come back at `until`."""

    def __init__(self, until: datetime):
        super().__init__("the token is being renewed")
        self.until = until


@dataclass(frozen=True, slots=True)
class Access:
    """A token, of which generation, and until when it is fresh, if it was granted in this invocation."""

    token: str = field(default="", repr=False)
    generation: int = 0
    fresh_until: datetime | None = None


NO_ACCESS = Access()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants access to what; `seed` is the fingerprint of the user's credential."""

    auth: TokenAuth
    pipeline: str
    user: User
    seed: str = field(repr=False)


def _scopes(user: User) -> Scopes:
    return {"user": {"id": user.id}, "params": user.params, "credentials": user.credentials}


async def with_access(pipeline: Pipeline, user: User, services: Services, use: Callable[[Access], Awaitable[T]]) -> T:
    """What `use` makes of the user's access; without a token, where the source wants none that is asked for.

    `use` is called again with a new token if it raises InvalidCredential for one that should have been good. Raises
    RenewedElsewhere, SourceError of the token endpoint or of `use`, StorageUnavailable.
    """
    auth = pipeline.source.auth
    if not isinstance(auth, TokenAuth):
        return await use(NO_ACCESS)
    claim = Claim(auth, pipeline.pipeline, user, seed_of(auth, _scopes(user)))
    refused: int | None = None
    for _ in range(2):
        access = await _access(claim, refused, services)
        try:
            return await use(access)
        except InvalidCredential:
            if await _is_conclusive(claim, access, services):
                raise
            refused = access.generation
    raise TemporaryFailure("the source refused a token that is not fresh")


async def _is_conclusive(claim: Claim, access: Access, services: Services) -> bool:
    """Whether the refusal of this token says something about the credential: it is fresh and still the latest."""
    if access.fresh_until is None or services.now() >= access.fresh_until:
        return False
    return (await services.tokens.read(claim.user.id, claim.pipeline)).generation == access.generation


async def _access(claim: Claim, refused: int | None, services: Services) -> Access:
    """A token of another generation than the `refused` one."""
    for _ in range(LOOKS):
        stored = await _read(claim, services)
        now = services.now()
        if _is_good(stored, claim, refused, now):
            remember_secrets([stored.access_token])
            return Access(stored.access_token, stored.generation)
        if stored.leased_until is not None and stored.leased_until > now:
            if not stored.lease_owner:
                break
            await services.sleep(PAUSE)
            continue
        lease = now + timedelta(seconds=services.settings.request_seconds) + SPARE
        try:
            leased = await services.tokens.write(stored.leased(_owner(services), lease))
        except Conflict:
            continue
        return await _renewed(claim, leased, services)
    raise RenewedElsewhere(_later(stored, services))


async def _read(claim: Claim, services: Services) -> StoredTokens:
    """What is stored. Raises RenewedElsewhere where the claim is out of date, as the user has another credential now.

    Tokens of another seed are older than the claim, or newer: only the users table can tell.
    """
    stored = await services.tokens.read(claim.user.id, claim.pipeline)
    if stored.is_sealed:
        raise TemporaryFailure("none of CREDENTIAL_KEYS opens the stored tokens")
    if stored.generation and stored.seed != claim.seed and not await _is_current(claim, services):
        raise RenewedElsewhere(services.now())
    return stored


async def _is_current(claim: Claim, services: Services) -> bool:
    user = await services.users.get(claim.user.id)
    return user is not None and seed_of(claim.auth, _scopes(user)) == claim.seed


def _is_good(stored: StoredTokens, claim: Claim, refused: int | None, now: datetime) -> bool:
    return (
        stored.seed == claim.seed
        and stored.generation != refused
        and stored.renew_at is not None
        and now < stored.renew_at
    )


def _owner(services: Services) -> str:
    return f"{int(services.random() * 2**52):013x}"


def _later(stored: StoredTokens, services: Services) -> datetime:
    """When an endpoint that wants to be left alone may be asked again; when somebody else should have an answer."""
    if stored.lease_owner or stored.leased_until is None:
        return services.now() + LATER * (0.5 + services.random())
    return stored.leased_until + timedelta(seconds=services.random())


async def _renewed(claim: Claim, leased: StoredTokens, services: Services) -> Access:
    """A new token, asked for under this lease, and stored."""
    asked_at = services.now()
    known = leased.refresh_token if leased.seed == claim.seed else ""
    try:
        tokens = await _exchanged(claim, known or None, services)
    except SourceError as error:
        await _lease_ended(leased, error, services)
        raise
    until = renew_at(asked_at, tokens.expires_in, claim.auth.renewal_margin)
    renewed = leased.renewed(claim.seed, tokens.access_token, tokens.refresh_token or known, until)
    stored = await _stored(claim, renewed, services)
    return Access(stored.access_token, stored.generation, min(until, asked_at + FRESH))


async def _exchanged(claim: Claim, refresh_token: str | None, services: Services) -> Tokens:
    request = token_request(claim.auth, _scopes(claim.user), refresh_token)
    remember_secrets(request.secrets)
    response = await services.token_endpoint.exchange(claim.user.id, request)
    tokens = read_tokens(claim.auth, response, services.now())
    remember_secrets([tokens.access_token, tokens.refresh_token or ""])
    return tokens


async def _lease_ended(leased: StoredTokens, error: SourceError, services: Services) -> None:
    """Somebody else may ask, as soon as the endpoint wants to be asked.

    Raises RenewedElsewhere where the lease has passed to another worker and a credential was refused: that one's
    renewal may be what made it worthless.
    """
    now = services.now()
    asked = now + timedelta(seconds=error.retry_after) if error.retry_after else None
    free = replace(leased, lease_owner="", leased_until=asked)
    try:
        await services.tokens.write(free)
    except StorageError as failed:
        if not isinstance(error, InvalidCredential):
            return  # the lease ends by itself
        if isinstance(failed, Conflict):
            raise RenewedElsewhere(now) from None
        raise


async def _stored(claim: Claim, renewed: StoredTokens, services: Services) -> StoredTokens:
    """The tokens, stored; tried for a while, because the endpoint may not grant them twice.

    Raises RenewedElsewhere where other tokens count by now.
    """
    for _ in range(LOOKS):
        try:
            try:
                return await services.tokens.write(renewed)
            except Conflict:
                renewed = await _over(claim, renewed, services)
        except StorageUnavailable:
            await services.sleep(PAUSE)
    raise StorageUnavailable("new tokens could not be stored")


async def _over(claim: Claim, renewed: StoredTokens, services: Services) -> StoredTokens:
    """The tokens as they can be written over what is stored now: a lease of somebody else, or their own earlier write.

    Raises RenewedElsewhere for a user who is gone, and for other tokens, unless those are of an older credential.
    """
    found = await services.tokens.read(claim.user.id, claim.pipeline)
    is_mine = found.access_token == renewed.access_token and found.generation == renewed.generation
    if is_mine or (found.etag and found.generation < renewed.generation):
        return replace(renewed, etag=found.etag)
    if found.etag and found.seed != claim.seed and await _is_current(claim, services):
        return replace(renewed, generation=found.generation + 1, etag=found.etag)
    raise RenewedElsewhere(services.now())

"""A user: whose credential mines."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

EXPLANATIONS = {
    "user_unknown": "there is no such user",
    "user_paused": "the user is paused",
    "credential_missing": "the user has no credential called",
    "credential_unreadable": "none of CREDENTIAL_KEYS opens the stored credentials",
    "credential_expired": "the user's credential has expired (expires_at)",
    "invalid_credential": "the source has refused this credential before; it waits for a new one",
    "pipeline_unknown": "no pipeline file describes this stream",
}
"""Reasons why a user can't be mined, in words for a person."""


def explained(reason: str) -> str:
    """A reason, perhaps with a colon and names behind it, as a sentence."""
    kind, _, names = reason.partition(":")
    return " ".join(filter(None, (EXPLANATIONS.get(kind, kind), names)))


class UserState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class User:
    """`credentials` and `params` are what templates in a pipeline file may name.

    `weight` is how many turns of others one of this user's is as long as.

    `rejected` names the pipelines whose source has refused the credential since it was put in; putting in a new
    one clears it. `sealed` are credentials that no key of ours opens: they are kept as they are, for the right key.
    Credentials never show in `repr`.
    """

    id: str
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    params: dict[str, Any] = field(default_factory=dict)
    state: UserState = UserState.ACTIVE
    expires_at: datetime | None = None
    rejected: frozenset[str] = frozenset()
    weight: int = 1
    sealed: bytes | None = field(default=None, repr=False)
    etag: str | None = field(default=None, compare=False, repr=False)

    def why_not(self, pipeline: str, needed: frozenset[str], now: datetime) -> str | None:
        """Reason why this user can't be mined by `pipeline` now, or None.

        `needed` are the names of the credentials that the pipeline file refers to.
        """
        if self.state is UserState.PAUSED:
            return "user_paused"
        if self.sealed is not None and needed:
            return "credential_unreadable"
        if missing := sorted(needed - self.credentials.keys()):
            return f"credential_missing:{','.join(missing)}"
        if self.expires_at is not None and self.expires_at <= now:
            return "credential_expired"
        if pipeline in self.rejected:
            return "invalid_credential"
        return None

    def with_rejection(self, pipeline: str) -> "User":
        return replace(self, rejected=self.rejected | {pipeline})

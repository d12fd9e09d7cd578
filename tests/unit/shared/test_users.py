"""Whether a user can be mined now, and if not, why."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.users import User, UserState

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEEDED = frozenset({"token"})
READY = {"token": "canary-token"}


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (User("ann", READY), None),
        (User("ann", READY, expires_at=NOW + timedelta(seconds=1)), None),
        (User("ann", READY, rejected=frozenset({"other"})), None),
        (User("ann", READY, state=UserState.PAUSED), "user_paused"),
        (User("ann"), "credential_missing:token"),
        (User("ann", {"secret": "x"}), "credential_missing:token"),
        (User("ann", READY, expires_at=NOW), "credential_expired"),
        (User("ann", READY, rejected=frozenset({"social"})), "invalid_credential"),
    ],
)
def test_a_user_is_mined_or_there_is_a_reason(user: User, reason: str | None):
    assert user.why_not("social", NEEDED, NOW) == reason


def test_every_missing_credential_is_named():
    assert User("ann").why_not("social", frozenset({"b", "a"}), NOW) == "credential_missing:a,b"


def test_a_source_without_credentials_needs_none():
    assert User("ann").why_not("social", frozenset(), NOW) is None


def test_a_rejection_is_for_one_pipeline():
    user = User("ann", READY).with_rejection("social")
    assert user.why_not("social", NEEDED, NOW) == "invalid_credential"
    assert user.why_not("mail", NEEDED, NOW) is None


def test_credentials_are_not_shown():
    assert "canary" not in repr(User("ann", READY))
    assert "canary" not in str(User("ann", READY))

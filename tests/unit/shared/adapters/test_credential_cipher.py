"""Credentials at rest."""

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.credential_cipher import CredentialCipher
from shared.errors import InvalidSettings

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@given(st.dictionaries(st.text(), st.text()))
def test_what_is_encrypted_is_decrypted(credentials: dict[str, str]):
    cipher = CredentialCipher(NEW)
    assert cipher.decrypt(cipher.encrypt(credentials)) == credentials


def test_ciphertext_gives_nothing_away():
    assert b"canary" not in CredentialCipher(NEW).encrypt({"canary-name": "canary-token"})


def test_a_new_key_in_front_still_opens_what_the_old_one_closed():
    closed = CredentialCipher(OLD).encrypt({"token": "x"})
    rotated = CredentialCipher(f"{NEW}, {OLD}")
    assert rotated.decrypt(closed) == {"token": "x"}
    assert CredentialCipher(NEW).decrypt(rotated.encrypt({"token": "y"})) == {"token": "y"}


def test_a_credential_that_no_key_opens_is_nothing():
    closed = CredentialCipher(OLD).encrypt({"token": "canary-token"})
    assert CredentialCipher(NEW).decrypt(closed) is None


@pytest.mark.parametrize("keys", ["canary-key", f"{NEW},canary-key"], ids=["alone", "behind another"])
def test_a_key_that_is_none_is_refused_and_not_shown(keys: str):
    with pytest.raises(InvalidSettings) as refusal:
        CredentialCipher(keys)
    assert str(refusal.value) == (
        "setting CREDENTIAL_KEYS: found a key that is none, allowed: 32 bytes in URL-safe base64"
    )


@pytest.mark.parametrize("keys", ["", " , "])
def test_at_least_one_key_is_needed(keys: str):
    with pytest.raises(InvalidSettings, match="CREDENTIAL_KEYS: found nothing, allowed: one or more Fernet keys"):
        CredentialCipher(keys)

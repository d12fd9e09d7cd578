"""Credentials at rest are ciphertext: whoever reads the users table learns nothing."""

import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import InvalidSettings


class CredentialCipher:
    """Encrypts with the first key and decrypts with any, so that keys can be rotated."""

    def __init__(self, comma_separated_keys: str):
        keys = [key.strip() for key in comma_separated_keys.split(",") if key.strip()]
        if not keys:
            raise InvalidSettings("setting CREDENTIAL_KEYS: found nothing, allowed: one or more Fernet keys")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise InvalidSettings(
                "setting CREDENTIAL_KEYS: found a key that is none, allowed: 32 bytes in URL-safe base64"
            ) from None

    def encrypt(self, credentials: dict[str, str]) -> bytes:
        return self._fernet.encrypt(json.dumps(credentials).encode())

    def decrypt(self, ciphertext: bytes) -> dict[str, str] | None:
        """None where no key fits: one such user must not stop the others."""
        try:
            values: dict[str, str] = json.loads(self._fernet.decrypt(ciphertext))
        except InvalidToken:
            return None
        return values

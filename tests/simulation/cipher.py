"""The cipher of all simulations."""

import json

from cryptography.fernet import Fernet

from shared.adapters.credential_cipher import CredentialCipher


class RememberingCipher(CredentialCipher):
    """The real one, but asked once for each credential, because it takes time. Nothing depends on its bytes."""

    def __init__(self) -> None:
        super().__init__(Fernet.generate_key().decode())
        self._sealed: dict[str, bytes] = {}
        self._opened: dict[bytes, dict[str, str]] = {}

    def encrypt(self, credentials: dict[str, str]) -> bytes:
        name = json.dumps(credentials)
        if name not in self._sealed:
            self._sealed[name] = super().encrypt(credentials)
            self._opened[self._sealed[name]] = credentials
        return self._sealed[name]

    def decrypt(self, ciphertext: bytes) -> dict[str, str] | None:
        return self._opened.get(ciphertext) or super().decrypt(ciphertext)


CIPHER = RememberingCipher()

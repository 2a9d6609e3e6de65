"""Encryption at rest: Fernet tokens under several keys, so that keys can be rotated."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from zaptrix.core.delivery.errors import FailureScope, Unauthorized

UNREADABLE = "secret_unreadable"


class UnreadableSecret(Unauthorized):
    """A stored secret was encrypted with a key that is not among ENCRYPTION_KEYS: nothing can be sent with it, and the
    channel or portal is held until somebody has brought the key back or given another secret."""

    def __init__(self, scope: FailureScope) -> None:
        super().__init__(UNREADABLE, "encrypted with a key that is not among ENCRYPTION_KEYS", scope=scope)


class SecretBox:
    """Encrypts with the first key, decrypts with any."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ValueError when a key is no Fernet key."""
        self._each = [Fernet(key) for key in keys]
        self._fernet = MultiFernet(self._each)

    def encrypt(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def decrypt(self, sealed: bytes) -> bytes:
        """Raises cryptography's InvalidToken."""
        return self._fernet.decrypt(sealed)

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str, scope: FailureScope = FailureScope.PORTAL) -> str:
        """`scope`: how much cannot work without it. Raises UnreadableSecret."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise UnreadableSecret(scope) from None

    def key_of(self, sealed: str) -> int | None:
        """The place of the key, from 0, that a secret is encrypted with; None: none of them."""
        for place, key in enumerate(self._each):
            try:
                key.decrypt(sealed.encode())
            except InvalidToken:
                continue
            return place
        return None

    def rotated(self, sealed: str) -> str:
        """The same secret under the first key. Raises cryptography's InvalidToken."""
        return self._fernet.rotate(sealed.encode()).decode()

"""Which portals' events are known, on the local disk: so that they are told from an unknown sender's without it.

A digest of each portal's `member_id` and `application_token`, and never the token: it is of 32 random characters, so
that there is nothing to guess.
https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import structlog

log = structlog.get_logger(__name__)


def digest(member_id: str, application_token: str) -> bytes:
    """What stands for a sender."""
    return hashlib.sha256(msgspec.json.encode([member_id, application_token])).digest()


class SenderDigests:
    """A digest a portal, in memory and in a file that survives a restart while PostgreSQL is away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._by_portal = self._read()
        self._digests = frozenset(self._by_portal.values())

    def know(self, member_id: str, application_token: str) -> bool:
        """Whether a portal with this token was known when PostgreSQL was last there."""
        return bool(application_token) and digest(member_id, application_token) in self._digests

    def change(self, changed: Mapping[UUID, bytes], gone: set[UUID]) -> None:
        """Renew digests of portals, and forget those of portals that are gone. Blocks. Raises OSError."""
        by_portal = {portal: known for portal, known in self._by_portal.items() if portal not in gone} | dict(changed)
        if by_portal == self._by_portal and self._path.exists():
            return
        self._by_portal, self._digests = by_portal, frozenset(by_portal.values())
        self._write()

    def portals(self) -> set[UUID]:
        return set(self._by_portal)

    def _read(self) -> dict[UUID, bytes]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[UUID, bytes])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as exc:
            log.warning("known senders not read", reason=type(exc).__name__)
            return {}

    def _write(self) -> None:
        part = self._path.with_name(f"{self._path.name}.{uuid4().hex}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(self._by_portal))
                file.flush()
                os.fsync(file.fileno())
            part.rename(self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                part.unlink()
            raise

"""API keys: shown once, kept as a hash."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Collection
from datetime import datetime

import msgspec

from zaptrix.core.access.scopes import EVERY_SCOPE, KeyScope
from zaptrix.core.ids import PortalId
from zaptrix.core.limits import DOOR_STORE_S_MAX
from zaptrix.store.connection.database import Connection, Database


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls the API. `portal_id` None: an admin of everything."""

    id: str
    portal_id: PortalId | None
    scopes: frozenset[KeyScope] = EVERY_SCOPE


_KEY = re.compile(r"zx_(?P<id>[0-9a-f]{12})_(?P<secret>[\w-]{1,100})", re.ASCII)
_ADD = "INSERT INTO api_key (id, hash, name, portal_id, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)"
_GOOD = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
_GET = f"SELECT id, hash, portal_id, scopes FROM api_key WHERE id = $1 AND {_GOOD}"  # noqa: S608
# Once a minute is enough to tell which keys are in use, and spares a write a request.
_USED = """
UPDATE api_key SET last_used_at = now()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


async def create(
    connection: Connection,
    name: str,
    portal_id: PortalId | None,
    *,
    scopes: Collection[KeyScope] = EVERY_SCOPE,
    expires_at: datetime | None = None,
) -> str:
    """A new key, as the caller has to send it. It cannot be shown again. `portal_id` None: for all portals."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    await connection.execute(_ADD, key_id, _hash(secret), name, portal_id, sorted(scopes), expires_at)
    return f"zx_{key_id}_{secret}"


async def check(connection: Connection, key: str) -> ApiKey | None:
    """Who holds `key`, or None."""
    parts = _KEY.fullmatch(key)
    row = await connection.fetchrow(_GET, parts["id"]) if parts else None
    if parts is None or row is None or not hmac.compare_digest(row["hash"], _hash(parts["secret"])):
        return None
    await connection.execute(_USED, row["id"])
    return ApiKey(id=row["id"], portal_id=row["portal_id"], scopes=_scopes(row["scopes"]))


_HASHES = f"SELECT id, hash FROM api_key WHERE {_GOOD}"  # noqa: S608
_RENEW_S = 5.0


class KnownKeys:
    """The hashes of all good keys, for who must not cost a look-up a call: an address that has used up its limit.

    What is known here may be revoked since, so that it only opens the way to `check`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hashes: dict[str, bytes] = {}
        self._renewed_at = -math.inf
        self._renewing = asyncio.Lock()

    async def hold(self, key: str) -> bool:
        """Whether `key` seems good. All are read anew at most once in some seconds. Raises StoreUnavailable."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            return False
        if not self._match(parts["id"], parts["secret"]):
            async with self._renewing:
                if time.monotonic() - self._renewed_at >= _RENEW_S:
                    async with self._database.within(DOOR_STORE_S_MAX) as connection:
                        self._hashes = {row["id"]: row["hash"] for row in await connection.fetch(_HASHES)}
                    self._renewed_at = time.monotonic()
        return self._match(parts["id"], parts["secret"])

    def _match(self, key_id: str, secret: str) -> bool:
        return hmac.compare_digest(self._hashes.get(key_id, b""), _hash(secret))


_LISTED = """
SELECT id, name, portal_id, scopes, created_at, expires_at, last_used_at, revoked_at FROM api_key
ORDER BY created_at, id
"""
_REVOKE = "UPDATE api_key SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL"


class ApiKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed: what tells it from others, never the key."""

    id: str
    name: str
    portal_id: PortalId | None
    scopes: frozenset[KeyScope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def listed(connection: Connection) -> list[ApiKeyView]:
    """All keys, the oldest first."""
    rows = await connection.fetch(_LISTED)
    return [ApiKeyView(**{**row, "scopes": _scopes(row["scopes"])}) for row in rows]


async def revoke(connection: Connection, key_id: str) -> bool:
    """Close a key for good; False when there is no such open key."""
    return await connection.execute(_REVOKE, key_id) == "UPDATE 1"


def _scopes(names: Collection[str]) -> frozenset[KeyScope]:
    """One that a later version of the gateway knows opens nothing in this one."""
    return frozenset(scope for scope in KeyScope if scope in names)


def _hash(secret: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()

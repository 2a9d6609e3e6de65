"""Portals: the tenants and their token pairs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from zaptrix.core.delivery.errors import FailureScope, Unauthorized
from zaptrix.core.ids import PortalId, connector_id
from zaptrix.core.portal import Locale, Portal
from zaptrix.core.ports import TokenPair
from zaptrix.core.wording.catalog import kept
from zaptrix.store.connection.database import Connection, Database, Record
from zaptrix.store.encryption import SecretBox
from zaptrix.store.processes.leases import awaited_lease

_COLUMNS = """id, portal_url, member_id, client_endpoint, locale, enterprise, rate_per_s, offline_events, paused_at,
paused_reason"""
SEALED = ("client_secret", "access_token", "refresh_token", "application_token")


class ValueTaken(Exception):
    """Another row has this unique value. `field` names it."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class PortalFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a portal is made or changed with; what is UNSET stays as it is. `id` is for one that is made."""

    id: PortalId | msgspec.UnsetType = msgspec.UNSET
    portal_url: str | msgspec.UnsetType = msgspec.UNSET
    member_id: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    client_endpoint: str | msgspec.UnsetType = msgspec.UNSET
    oauth_host: str | msgspec.UnsetType | None = msgspec.UNSET
    access_token: str | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    token_expiration_time: datetime | msgspec.UnsetType = msgspec.UNSET
    application_token: str | msgspec.UnsetType = msgspec.UNSET
    locale: Locale | msgspec.UnsetType = msgspec.UNSET
    enterprise: bool | msgspec.UnsetType = msgspec.UNSET
    rate_per_s: int | msgspec.UnsetType | None = msgspec.UNSET
    offline_events: bool | msgspec.UnsetType = msgspec.UNSET


def portal_of(row: Record) -> Portal:
    """A portal from a row that holds at least its columns."""
    portal_id = PortalId(row["id"])
    return Portal(
        id=portal_id,
        portal_url=row["portal_url"],
        member_id=row["member_id"],
        client_endpoint=row["client_endpoint"],
        connector_id=connector_id(portal_id),
        locale=kept(row["locale"]),
        enterprise=row["enterprise"],
        rate_per_s=row["rate_per_s"],
        offline_events=row["offline_events"],
        paused_at=row["paused_at"],
        paused_reason=row["paused_reason"],
    )


def _assignments(fields: PortalFields, box: SecretBox) -> dict[str, object]:
    values: dict[str, object] = {
        name: v for name, v in msgspec.structs.asdict(fields).items() if v is not msgspec.UNSET
    }
    return {name: box.seal(v) if name in SEALED and isinstance(v, str) else v for name, v in values.items()}


async def add(connection: Connection, fields: PortalFields, box: SecretBox) -> Portal:
    """A new portal. Raises ValueTaken."""
    values = _assignments(fields, box)
    names, marks = ", ".join(values), ", ".join(f"${n}" for n in range(1, len(values) + 1))
    sql = f"INSERT INTO portal_config ({names}) VALUES ({marks}) RETURNING {_COLUMNS}"  # noqa: S608  # our own names
    row = await _unique(connection, sql, *values.values())
    assert row is not None
    return portal_of(row)


async def change(connection: Connection, portal_id: PortalId, fields: PortalFields, box: SecretBox) -> Portal | None:
    """Overwrite what `fields` sets, and take the portal out of its pause; None when there is no such portal.

    Raises ValueTaken.
    """
    values = _assignments(fields, box)
    sets = "".join(f"{name} = ${n}, " for n, name in enumerate(values, 2))
    sql = f"""
    UPDATE portal_config SET {sets} paused_at = NULL, paused_reason = NULL, updated_at = now()
    WHERE id = $1 RETURNING {_COLUMNS}"""  # noqa: S608  # our own names
    row = await _unique(connection, sql, portal_id, *values.values())
    return portal_of(row) if row else None


async def _unique(connection: Connection, sql: str, *values: object) -> asyncpg.Record | None:
    try:
        return await connection.fetchrow(sql, *values)
    except asyncpg.UniqueViolationError as exc:
        constraint = exc.constraint_name or ""
        raise ValueTaken(
            next((f for f in ("portal_url", "member_id", "phone_number_id") if f in constraint), "")
        ) from exc


_GET = f"SELECT {_COLUMNS} FROM portal_config WHERE id = $1"  # noqa: S608
_BY_MEMBER = f"SELECT {_COLUMNS}, application_token FROM portal_config WHERE member_id = $1"  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS}, created_at FROM portal_config
WHERE ($1::uuid IS NULL OR id > $1) AND ($2::uuid IS NULL OR id = $2) ORDER BY id LIMIT $3"""  # noqa: S608
_DELETE = "DELETE FROM portal_config WHERE id = $1"
_PAUSE = """
UPDATE portal_config SET paused_at = now(), paused_reason = $2, updated_at = now()
WHERE id = $1 AND paused_at IS NULL AND updated_at < now() - interval '3 seconds'
"""


async def get(connection: Connection, portal_id: PortalId) -> Portal | None:
    row = await connection.fetchrow(_GET, portal_id)
    return portal_of(row) if row else None


async def by_member_id(connection: Connection, member_id: str, box: SecretBox) -> tuple[Portal, str] | None:
    """A portal and its application token, by its immutable key. Raises UnreadableSecret."""
    row = await connection.fetchrow(_BY_MEMBER, member_id)
    return (portal_of(row), box.open(row["application_token"])) if row else None


# The transaction that wrote a row last: it changes with everything that is written to the row.
_VERSIONS = "SELECT id, xmin::text AS version FROM portal_config UNION ALL SELECT id, xmin::text FROM channel"
# Mostly nothing has changed: then one number crosses instead of all rows.
_FINGERPRINT = f"SELECT bit_xor(uuid_hash_extended(id, version::bigint)) FROM ({_VERSIONS}) AS rows"  # noqa: S608


async def fingerprint(connection: Connection) -> int | None:
    """Of all that `versions` tells: another one means that something of it is different."""
    told: int | None = await connection.fetchval(_FINGERPRINT)
    return told


async def versions(connection: Connection) -> dict[UUID, str]:
    """The version of each portal and channel: another one means that something of it has changed."""
    return {row["id"]: row["version"] for row in await connection.fetch(_VERSIONS)}


_SENDERS = "SELECT id, member_id, application_token FROM portal_config WHERE id = ANY($1)"


class SealedSender(msgspec.Struct, frozen=True):
    """Whose events a portal's are, its token as it is stored."""

    portal_id: PortalId
    member_id: str
    application_token: str


async def senders(connection: Connection, portal_ids: Sequence[UUID]) -> list[SealedSender]:
    """Those of `portal_ids` that are portals."""
    return [SealedSender(*row) for row in await connection.fetch(_SENDERS, portal_ids)]


_ID_OF_MEMBER = "SELECT id FROM portal_config WHERE member_id = $1"


async def id_of_member(connection: Connection, member_id: str) -> PortalId | None:
    """The id of the portal with this immutable key."""
    portal_id = await connection.fetchval(_ID_OF_MEMBER, member_id)
    return PortalId(portal_id) if portal_id else None


_TAKEN = "SELECT member_id = $1 FROM portal_config WHERE member_id = $1 OR portal_url = $2 ORDER BY 1 DESC LIMIT 1"
_LOCK_ROW = "SELECT 1 FROM portal_config WHERE id = $1 FOR NO KEY UPDATE"


async def taken(connection: Connection, member_id: str, portal_url: str) -> str | None:
    """Which of them is another portal's already."""
    by_member = await connection.fetchval(_TAKEN, member_id, portal_url)
    return None if by_member is None else ("member_id" if by_member else "portal_url")


async def lock(connection: Connection, portal_id: PortalId) -> None:
    """One transaction at a time counts what a portal has, and adds to it."""
    await connection.execute(_LOCK_ROW, portal_id)


async def listed(connection: Connection, after: PortalId | None, only: PortalId | None, limit: int) -> list[Portal]:
    """Portals in the order of their ids, after `after`; `only` narrows to one."""
    return [portal_of(row) for row in await connection.fetch(_LIST, after, only, limit)]


async def delete(connection: Connection, portal_id: PortalId) -> bool:
    """Delete a portal and all that is its own; False when there is none."""
    return await connection.execute(_DELETE, portal_id) == "DELETE 1"


async def pause(connection: Connection, portal_id: PortalId, reason: str) -> bool:
    """Hold everything that goes to this portal; False when it was held already.

    Also False when it was changed a moment ago: the refusal may be about the key that was just replaced.
    """
    return await connection.execute(_PAUSE, portal_id, reason) == "UPDATE 1"


_PAIR = """
SELECT client_id, client_secret, access_token, refresh_token, token_expiration_time, oauth_host
FROM portal_config WHERE id = $1
"""
# What the gateway writes by itself leaves `updated_at` alone: that is when a person last gave a key, and what `pause`
# asks for.
_SAVE = """
UPDATE portal_config SET access_token = $2, refresh_token = $3, token_expiration_time = $4 WHERE id = $1
"""
_MOVED = "UPDATE portal_config SET client_endpoint = $2 WHERE id = $1"
_SPENT = "SELECT refresh_token FROM portal_config WHERE id = $1 FOR NO KEY UPDATE"


class StoredTokens:
    """`core.ports.TokenVault` on PostgreSQL."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    async def pair(self, portal_id: PortalId) -> TokenPair:
        """Raises Unauthorized when the portal is gone, was never given tokens, or they cannot be decrypted."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_PAIR, portal_id)
        if row is None or not row["refresh_token"] or not row["access_token"]:
            raise Unauthorized("no_tokens", "the portal has no tokens yet", scope=FailureScope.PORTAL)
        return TokenPair(
            client_id=row["client_id"],
            client_secret=self._box.open(row["client_secret"]),
            access_token=self._box.open(row["access_token"]),
            refresh_token=self._box.open(row["refresh_token"]),
            expires_at=row["token_expiration_time"],
            oauth_host=row["oauth_host"],
        )

    async def save(
        self, portal_id: PortalId, *, spent: str, access_token: str, refresh_token: str, expires_at: datetime
    ) -> bool:
        async with self._database.transaction() as connection:
            stored: str | None = await connection.fetchval(_SPENT, portal_id)
            if stored is None or self._box.open(stored) != spent:
                return False
            await connection.execute(
                _SAVE, portal_id, self._box.seal(access_token), self._box.seal(refresh_token), expires_at
            )
        return True

    async def moved(self, portal_id: PortalId, client_endpoint: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_MOVED, portal_id, client_endpoint)

    @asynccontextmanager
    async def refreshing(self, portal_id: PortalId) -> AsyncIterator[None]:
        """A lease: no transaction and no connection spans the call to the OAuth server, which is not begun too late.

        It is never cut off: a pair that was given and not stored is a chain that is cut.
        """
        async with awaited_lease(self._database, f"refresh/{portal_id}") as deadline:
            with deadline.guarding():
                yield

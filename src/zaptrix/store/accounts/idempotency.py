"""Idempotency keys of the API: the same key gives the same message."""

from __future__ import annotations

import msgspec

from zaptrix.core.ids import MessageId
from zaptrix.store.connection.database import Connection

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_GET = "SELECT fingerprint, message_id FROM idempotency WHERE api_key_id = $1 AND key = $2"
_PUT = "INSERT INTO idempotency (api_key_id, key, fingerprint, message_id) VALUES ($1, $2, $3, $4)"
_FORGET = "DELETE FROM idempotency WHERE created_at < now() - make_interval(hours => $1)"


class Used(msgspec.Struct, frozen=True):
    """An idempotency key that was used before."""

    fingerprint: bytes  # of the request that used it
    message_id: MessageId


async def used(connection: Connection, api_key_id: str, key: str) -> Used | None:
    """What `key` was used for. Two requests with one key wait for each other from here to their commit."""
    await connection.execute(_LOCK, f"idempotency/{api_key_id}/{key}")
    row = await connection.fetchrow(_GET, api_key_id, key)
    return Used(row["fingerprint"], MessageId(row["message_id"])) if row else None


async def remember(
    connection: Connection, api_key_id: str, key: str, fingerprint: bytes, message_id: MessageId
) -> None:
    await connection.execute(_PUT, api_key_id, key, fingerprint, message_id)


async def forget(connection: Connection, hours: int) -> None:
    await connection.execute(_FORGET, hours)

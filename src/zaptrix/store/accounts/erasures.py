"""What a deleted tenant leaves behind: the bodies of its webhooks, and its files.

The journal is not reached by a foreign key, and files are stored outside of the database. What is left is noted in the
transaction of the deletion itself, and erased afterwards in steps: a journal is large, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.store.connection.database import Connection

# A number that was let go for another one has left words behind, too: those up to then are this portal's, as is noted.
_JOURNAL = """
INSERT INTO erasure_journal (tenant, until)
SELECT phone_number_id, clock_timestamp() FROM channel WHERE portal_id = $1 OR id = $2
UNION ALL
SELECT phone_number_id, released_at FROM number_release
WHERE portal_id = $1 OR portal_id = (SELECT portal_id FROM channel WHERE id = $2)
"""
_JOURNAL_OF_PORTAL = "INSERT INTO erasure_journal (tenant, until) VALUES ($1::uuid::text, clock_timestamp())"
# Of a recording that became a voice note only the note has a row; its message names what was handed over.
_BLOBS = """
INSERT INTO erasure_blob (key)
SELECT blob->>'key' FROM file WHERE (portal_id = $1 OR channel_id = $2) AND blob IS NOT NULL
UNION
SELECT m.content->>'source' FROM file f JOIN message m ON m.id = f.message_id
WHERE (f.portal_id = $1 OR f.channel_id = $2) AND m.origin = 'api' AND f.blob IS NOT NULL
    AND m.content->>'source' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9a-f]{32}$'
ON CONFLICT DO NOTHING
"""
_UPLOADS = """
DELETE FROM whatsapp_media USING channel
WHERE whatsapp_media.phone_number_id = channel.phone_number_id AND (channel.portal_id = $1 OR channel.id = $2)
"""


async def order_portal(connection: Connection, portal_id: PortalId) -> None:
    """Note what is to be erased of a portal, before it is deleted in the same transaction."""
    await connection.execute(_JOURNAL_OF_PORTAL, portal_id)
    await _order(connection, portal_id, None)


async def order_channel(connection: Connection, channel_id: ChannelId) -> None:
    """Note what is to be erased of a channel, before it is deleted in the same transaction."""
    await _order(connection, None, channel_id)


async def _order(connection: Connection, portal_id: PortalId | None, channel_id: ChannelId | None) -> None:
    for statement in (_JOURNAL, _BLOBS, _UPLOADS):
        await connection.execute(statement, portal_id, channel_id)


class Journal(msgspec.Struct, frozen=True):
    """A tenant of the journal, a number or a portal, whose events up to a moment are to be erased."""

    id: int
    tenant: str
    until: datetime


_ORDERED = "SELECT id, tenant, until FROM erasure_journal ORDER BY id LIMIT 1"
_ERASE = """
DELETE FROM event WHERE (received_on, id) IN (
    SELECT received_on, id FROM event
    WHERE received_on <= ($2 AT TIME ZONE 'utc')::date AND received_at <= $2 AND lane LIKE $1 || '.%' LIMIT $3
)
"""
_DONE = "DELETE FROM erasure_journal WHERE id = $1"


async def journal_ordered(connection: Connection) -> Journal | None:
    """The oldest order to erase from the journal."""
    row = await connection.fetchrow(_ORDERED)
    return Journal(**row) if row else None


async def erase_journal(connection: Connection, ordered: Journal, limit: int) -> int:
    """Erase a step of it, and the order with the last one; how many events are gone."""
    told: str = await connection.execute(_ERASE, ordered.tenant, ordered.until, limit)
    gone = int(told.removeprefix("DELETE "))
    if gone < limit:
        await connection.execute(_DONE, ordered.id)
    return gone


_KEYS = "SELECT key FROM erasure_blob ORDER BY key LIMIT $1"
_GONE = "DELETE FROM erasure_blob WHERE key = ANY($1)"


async def blobs_ordered(connection: Connection, limit: int) -> list[str]:
    """Keys of files that are to be erased."""
    return [row["key"] for row in await connection.fetch(_KEYS, limit)]


async def blobs_gone(connection: Connection, keys: Sequence[str]) -> None:
    """They are not there any more."""
    await connection.execute(_GONE, keys)

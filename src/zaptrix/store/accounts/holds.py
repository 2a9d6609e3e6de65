"""Holds: who waits behind a number that stands still, and was not told so yet; and holds that end by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from zaptrix.core.ids import ChannelId, ConversationId, MessageId, PortalId
from zaptrix.store.accounts import portals
from zaptrix.store.connection.database import Connection, Record
from zaptrix.store.encryption import UNREADABLE, SecretBox


class WaitingConversation(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest message of a conversation that waits, and why."""

    conversation_id: ConversationId
    message_id: MessageId
    reason: str | None


# A line that was said since the number stands still is not said again.
_WAITING = """
SELECT DISTINCT ON (m.conversation_id) m.conversation_id, m.id, ch.whatsapp_paused_reason AS reason
FROM message m JOIN channel ch ON ch.id = m.channel_id
WHERE {which} AND m.direction = 'outbound' AND m.state IN ('pending', 'sending', 'verifying')
    AND ch.whatsapp_paused_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM message n WHERE n.conversation_id = m.conversation_id AND n.kind = 'notice'
            AND n.content->>'code' = 'on_hold' AND n.created_at >= ch.whatsapp_paused_at)
ORDER BY m.conversation_id, m.id
"""
_OF_CHANNEL = _WAITING.format(which="m.lane_id = $1")
_AMONG = _WAITING.format(which="m.id = ANY($1)")


async def waiting(connection: Connection, channel_id: ChannelId) -> list[WaitingConversation]:
    """Of a channel."""
    return [_waiting(row) for row in await connection.fetch(_OF_CHANNEL, channel_id)]


async def waiting_among(connection: Connection, ids: Sequence[MessageId]) -> list[WaitingConversation]:
    """Among messages that were just written."""
    return [_waiting(row) for row in await connection.fetch(_AMONG, ids)]


def _waiting(row: Record) -> WaitingConversation:
    return WaitingConversation(
        conversation_id=ConversationId(row["conversation_id"]), message_id=MessageId(row["id"]), reason=row["reason"]
    )


# Held because a secret could not be decrypted, by the code at the head of the reason.
_LOCKED_PORTALS = f"""
SELECT id, {", ".join(portals.SEALED)} FROM portal_config WHERE paused_reason LIKE $1 || ':%'
"""  # noqa: S608
_LOCKED_CHANNELS = "SELECT id, portal_id, access_token FROM channel WHERE whatsapp_paused_reason LIKE $1 || ':%'"
_UNLOCK_PORTAL = "UPDATE portal_config SET paused_at = NULL, paused_reason = NULL WHERE id = $1"
_UNLOCK_CHANNEL = "UPDATE channel SET whatsapp_paused_at = NULL, whatsapp_paused_reason = NULL WHERE id = $1"


class Readable(msgspec.Struct, frozen=True):
    """What was held because of its secrets, which can be read again."""

    portals: list[PortalId]
    channels: list[tuple[ChannelId, PortalId]]


async def unlock(connection: Connection, box: SecretBox) -> Readable:
    """End the holds of portals and channels whose secrets can be read again."""
    held = await connection.fetch(_LOCKED_PORTALS, UNREADABLE)
    freed = [PortalId(row["id"]) for row in held if _opens(box, [row[name] for name in portals.SEALED])]
    stopped = await connection.fetch(_LOCKED_CHANNELS, UNREADABLE)
    numbers = [
        (ChannelId(row["id"]), PortalId(row["portal_id"])) for row in stopped if _opens(box, [row["access_token"]])
    ]
    for portal_id in freed:
        await connection.execute(_UNLOCK_PORTAL, portal_id)
    for channel_id, _ in numbers:
        await connection.execute(_UNLOCK_CHANNEL, channel_id)
    return Readable(freed, numbers)


def _opens(box: SecretBox, sealed: Sequence[str | None]) -> bool:
    return all(box.key_of(each) is not None for each in sealed if each)

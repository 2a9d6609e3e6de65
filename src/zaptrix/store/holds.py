"""Holds: who waits behind a number that stands still, and was not told so yet."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from zaptrix.core.ids import ChannelId, ConversationId, MessageId
from zaptrix.store.database import Connection, Record


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
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


async def waiting(connection: Connection, channel_id: ChannelId) -> list[Waiting]:
    """Of a channel."""
    return [_waiting(row) for row in await connection.fetch(_OF_CHANNEL, channel_id)]


async def waiting_among(connection: Connection, ids: Sequence[MessageId]) -> list[Waiting]:
    """Among messages that were just written."""
    return [_waiting(row) for row in await connection.fetch(_AMONG, ids)]


def _waiting(row: Record) -> Waiting:
    return Waiting(
        conversation_id=ConversationId(row["conversation_id"]), message_id=MessageId(row["id"]), reason=row["reason"]
    )

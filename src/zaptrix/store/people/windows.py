"""Windows that are about to close while a customer waits for an answer."""

from __future__ import annotations

from datetime import datetime

import msgspec

from zaptrix.core.ids import ConversationId, PortalId
from zaptrix.store.connection.database import Connection


class Closing(msgspec.Struct, frozen=True):
    """A conversation whose customer has waited for nearly all of the window."""

    id: ConversationId
    portal_id: PortalId
    window_expires_at: datetime


# Once a window: a customer who writes again opens a new one. One that somebody answered needs no word.
_CLOSING = """
UPDATE conversation_mapping c SET window_reminded_at = now()
WHERE c.id IN (
    SELECT id FROM conversation_mapping o
    WHERE window_expires_at > now() AND window_expires_at < now() + make_interval(mins => $1)
        AND bitrix_chat_id IS NOT NULL
        AND (window_reminded_at IS NULL OR window_reminded_at < window_expires_at - make_interval(hours => $2))
        AND NOT EXISTS (SELECT 1 FROM message m WHERE m.conversation_id = o.id AND m.direction = 'outbound'
            AND m.written_at >= o.window_expires_at - make_interval(hours => $2))
    ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING c.id, c.portal_id, c.window_expires_at
"""


async def closing(connection: Connection, minutes: int, window_hours: int, limit: int) -> list[Closing]:
    """Unanswered conversations whose window closes within `minutes`, each once a window: it is marked as told."""
    rows = await connection.fetch(_CLOSING, minutes, window_hours, limit)
    return [Closing(ConversationId(row["id"]), PortalId(row["portal_id"]), row["window_expires_at"]) for row in rows]

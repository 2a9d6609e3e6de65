"""What was said in a conversation, as far as an answer may name it."""

from __future__ import annotations

import msgspec

from zaptrix.core.ids import ConversationId
from zaptrix.core.message.message import Content, Direction
from zaptrix.store.connection.database import Connection

_decode = msgspec.json.Decoder(Content).decode

# Reactions, edits and the like are no messages on a phone; what failed is not there either.
_NAMEABLE = """
SELECT whatsapp_id, direction, content, bitrix_message_id FROM message
WHERE conversation_id = $1 AND whatsapp_id IS NOT NULL AND written_at > now() - make_interval(days => $2)
    AND kind NOT IN ('reaction', 'edited', 'revoked', 'group') AND state NOT IN ('dead', 'dismissed')
ORDER BY id DESC LIMIT $3
"""


class Nameable(msgspec.Struct, frozen=True, kw_only=True):
    """A message that WhatsApp shows above an answer to it."""

    whatsapp_id: str
    direction: Direction
    content: Content
    bitrix_message_id: int | None


async def nameable(connection: Connection, talk: ConversationId, days: int, limit: int) -> list[Nameable]:
    """The latest messages of a conversation, the newest first."""
    return [
        Nameable(
            whatsapp_id=row["whatsapp_id"],
            direction=Direction(row["direction"]),
            content=_decode(row["content"]),
            bitrix_message_id=row["bitrix_message_id"],
        )
        for row in await connection.fetch(_NAMEABLE, talk, days, limit)
    ]


# Blue ticks stand for what the operator can see.
_NEWEST = """
SELECT whatsapp_id FROM message
WHERE conversation_id = $1 AND direction = 'inbound' AND origin = 'customer' AND whatsapp_id IS NOT NULL
    AND state = 'sent' AND written_at > now() - make_interval(hours => $2)
ORDER BY id DESC LIMIT 1
"""


async def newest_in_chat(connection: Connection, talk: ConversationId, hours: int) -> str | None:
    """The wamid of the customer's newest message that stands in the portal's chat, of the last `hours`."""
    whatsapp_id: str | None = await connection.fetchval(_NEWEST, talk, hours)
    return whatsapp_id

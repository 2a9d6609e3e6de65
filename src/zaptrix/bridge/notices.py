"""Notices: lines from the gateway to the operator, in the conversation that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from zaptrix.core.ids import ConversationId
from zaptrix.core.message import Direction, Notice, Origin
from zaptrix.store import conversations
from zaptrix.store.database import Connection
from zaptrix.store.messages import NewMessage


async def notices_for(
    connection: Connection, said: Sequence[tuple[ConversationId, Notice, datetime]]
) -> list[NewMessage]:
    """`said` as ledger rows. A conversation that has no chat in Bitrix24 yet has nobody to tell."""
    talks = await conversations.by_ids(connection, [row[0] for row in said])
    return [
        NewMessage(
            conversation=talks[conversation_id],
            direction=Direction.INBOUND,
            origin=Origin.GATEWAY,
            content=notice,
            request_id="notice",
            written_at=at,
            bitrix_chat_id=talks[conversation_id].bitrix_chat_id,
        )
        for conversation_id, notice, at in said
        if conversation_id in talks and talks[conversation_id].bitrix_chat_id
    ]

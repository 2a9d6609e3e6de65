"""Notices: lines from the gateway to the operator, in the conversation that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from zaptrix.core.ids import ConversationId, MessageId
from zaptrix.core.message.message import Content, Direction, Notice, Origin, Words, shown
from zaptrix.core.message.template import Template
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import messages
from zaptrix.store.ledger.messages import NewMessage
from zaptrix.store.people import conversations


class Line(msgspec.Struct, frozen=True):
    """What is to be said in a conversation, and of which message, when it is of one."""

    conversation_id: ConversationId
    notice: Notice
    at: datetime
    about: MessageId | None = None


async def say(connection: Connection, lines: Sequence[Line]) -> None:
    """Write `lines` into the ledger. A conversation that has no chat in Bitrix24 yet has nobody to tell."""
    talks = await conversations.by_ids(connection, [line.conversation_id for line in lines]) if lines else {}
    told = [line for line in lines if (talk := talks.get(line.conversation_id)) and talk.bitrix_chat_id]
    if not told:
        return
    ids = await messages.insert(
        connection,
        [
            NewMessage(
                conversation=talks[line.conversation_id],
                direction=Direction.INBOUND,
                origin=Origin.GATEWAY,
                content=line.notice,
                request_id="notice",
                written_at=line.at,
                bitrix_chat_id=talks[line.conversation_id].bitrix_chat_id,
            )
            for line in told
        ],
    )
    said = [(line.about, notice_id) for line, notice_id in zip(told, ids, strict=True) if line.about is not None]
    if said:
        await messages.said_of(connection, said)


def sent_by_api(message_id: MessageId, content: Content) -> Notice | None:
    """What a program has sent, for the operator to see: words as they are, everything else as the chat shows it."""
    match content:
        case Notice():
            return None
        case Template():
            text = shown(content)
            return Notice("sent_by_api", {"text": text}) if text else None
        case Words(text=words) if content.marks.quote is None:
            return Notice("sent_by_api", {"text": words.plain}) if words else None
        case _:
            return Notice("sent_by_api", about=content, about_id=message_id)

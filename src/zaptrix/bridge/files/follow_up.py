"""Follow: a file that goes after the words that it came with, in a message of its own."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import MessageId
from zaptrix.core.message.kinds import NO_MARKS
from zaptrix.core.message.message import Direction, MediaContent, Origin
from zaptrix.core.message.text import Text
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import files, messages
from zaptrix.store.ledger.messages import NewMessage


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose words have gone, and whose file has not."""

    message_id: MessageId
    conversation: Conversation
    direction: Direction
    origin: Origin
    media: MediaContent
    request_id: str
    written_at: datetime


async def follow(connection: Connection, late: Late) -> None:
    """Let the file go behind what was said meanwhile."""
    row = NewMessage(
        conversation=late.conversation,
        direction=late.direction,
        origin=late.origin,
        content=replace(late.media, caption=Text(), marks=NO_MARKS),
        request_id=late.request_id,
        written_at=late.written_at,
    )
    (message_id,) = await messages.insert(connection, [row])
    await files.follow(connection, late.message_id, message_id)

"""A claim: one message, taken for one attempt, with all that a platform needs to deliver it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import AttemptId, MessageId
from zaptrix.core.message.media import Attachment
from zaptrix.core.message.message import Content, Direction, Origin, is_overheard
from zaptrix.core.portal import Channel, Portal


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A message in the hands of one runner. `attempt_id` fences its settlement: a late runner settles nothing."""

    message_id: MessageId
    attempt_id: AttemptId
    attempts: int  # finished attempts so far
    unclear: int = 0  # those of them whose call had no clear answer, and which were not found afterwards
    content: Content
    origin: Origin
    conversation: Conversation
    channel: Channel
    portal: Portal
    request_id: str
    created_at: datetime
    whatsapp_id: str | None = None  # wamid: inbound from the start, outbound once sent
    bitrix_chat_id: int | None = None
    bitrix_message_id: int | None = None
    part: int = 0  # of the operator's message, when several came of it
    alone: bool = False  # nothing else came of the operator's message
    suspect: bool = False  # it may have been sent before a restore of the ledger, which knows nothing of that
    followed: bool = False  # more waits behind it in its conversation
    twins: int = 0  # notices of the same words that went before it, when its proof is looked for
    parts: tuple[str, ...] = ()  # wamids of all that came of the operator's message, when it is about to be confirmed
    attachment: Attachment | None = None  # of a message that carries a file, when it is about to be sent


def is_awaited(claim: Claim, direction: Direction) -> bool:
    """Whether the side that a message came from waits to be told that it has arrived."""
    if direction is Direction.OUTBOUND:
        return claim.origin is Origin.OPERATOR
    # The blue ticks of an overheard message are for the app that answers it.
    return claim.origin is Origin.CUSTOMER and claim.channel.mark_read and not is_overheard(claim.content)

"""A conversation: one customer on one channel."""

from __future__ import annotations

from datetime import datetime

import msgspec

from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.referral import Referral
from zaptrix.core.ids import ChannelId, ConversationId, PortalId, external_chat_id


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message belongs, with the ids that both platforms gave it."""

    id: ConversationId
    portal_id: PortalId
    channel_id: ChannelId
    customer: Customer
    bitrix_chat_id: int | None = None
    bitrix_session_id: int | None = None
    bitrix_contact_id: int | None = None
    window_expires_at: datetime | None = None
    referral: Referral | None = None  # the last ad or post that the customer came from
    former_bsuids: tuple[str, ...] = ()  # names by which it was asked for, and which are the customer's no more

    @property
    def external_chat_id(self) -> str:
        return external_chat_id(self.channel_id, self.id)

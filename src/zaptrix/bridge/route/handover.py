"""Hand over: what routing has just written goes to delivery from memory, claimed with the insert.

Only what nothing stands before is claimed so, and only as much as delivery can launch at once
(`core.ports.Handover`). Everything else waits in the ledger, and delivery is told that it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from zaptrix.bridge.tenants.directory import Tenant
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.ids import AttemptId, ChannelId, ConversationId, PortalId
from zaptrix.core.message.message import file_of
from zaptrix.core.ports import Handover
from zaptrix.store.ledger.contents import as_stored
from zaptrix.store.ledger.messages import NewMessage, WrittenMessage


class HandingOver:
    """The messages of one batch, between their rows and delivery."""

    def __init__(self, handover: Handover) -> None:
        """To be made before the transaction begins: a claim counts from then."""
        self._handover = handover
        self._offer = handover.offer()
        self._claims: list[Claim] = []
        self._waiting: dict[tuple[UUID, ConversationId], None] = {}

    def offered(
        self,
        rows: Sequence[NewMessage],
        tenants: Mapping[ChannelId, Tenant],
        but: Collection[tuple[PortalId, int | None]] = (),
    ) -> list[NewMessage]:
        """`rows`, with an attempt for those that may go at once: of each conversation the first. None of a portal's
        messages that `but` names."""
        met: set[tuple[UUID, ConversationId]] = set()
        offered: list[NewMessage] = []
        for row in rows:
            way = row.lane_id, row.conversation.id
            attempt_id = None
            may_go = row.conversation.channel_id in tenants and file_of(row.content) is None
            if may_go and way not in met and (row.conversation.portal_id, row.bitrix_message_id) not in but:
                attempt_id = self._offer.attempt_for(*way)
            met.add(way)
            offered.append(replace(row, attempt_id=attempt_id) if attempt_id else row)
        return offered

    def written(
        self,
        rows: Sequence[NewMessage],
        written: Sequence[WrittenMessage],
        talks: Mapping[ConversationId, Conversation],
        tenants: Mapping[ChannelId, Tenant],
    ) -> None:
        """What became of `rows`: `written`, in `talks` as they stand now."""
        claimed = {one.attempt_id: one for one in written if one.attempt_id is not None}
        parts = Counter((row.conversation.portal_id, row.bitrix_message_id) for row in rows)
        for row in rows:
            if row.attempt_id is not None and (one := claimed.get(row.attempt_id)):
                tenant = tenants[row.conversation.channel_id]
                claim = _claim(row, one, row.attempt_id, talks[one.conversation_id], tenant)
                is_alone = row.bitrix_message_id is None or (
                    row.part == 0 and parts[row.conversation.portal_id, row.bitrix_message_id] == 1
                )
                self._claims.append(replace(claim, alone=is_alone))
        self._waiting.update({(one.lane_id, one.conversation_id): None for one in written if one.attempt_id is None})

    @property
    def attempts(self) -> list[AttemptId]:
        """By which messages were claimed."""
        return [claim.attempt_id for claim in self._claims]

    def committed(self) -> None:
        """It is on disk."""
        if self._claims:
            self._handover.take(self._claims)
        for way in self._waiting:
            self._handover.waits(*way)


def _claim(row: NewMessage, one: WrittenMessage, attempt_id: AttemptId, talk: Conversation, tenant: Tenant) -> Claim:
    """The claim that would be read from this row."""
    return Claim(
        message_id=one.id,
        attempt_id=attempt_id,
        attempts=0,
        content=as_stored(row.content),
        origin=row.origin,
        conversation=talk,
        channel=tenant.channel,
        portal=tenant.portal,
        request_id=row.request_id,
        created_at=one.created_at,
        whatsapp_id=row.whatsapp_id,
        bitrix_chat_id=row.bitrix_chat_id,
        bitrix_message_id=row.bitrix_message_id,
        part=row.part,
    )

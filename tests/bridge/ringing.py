"""Handing over by bell: what was routed is claimed by whichever process answers for its round of delivery."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zaptrix.broker.queues.bells import Bells
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import delivery_lane
from zaptrix.core.ids import AttemptId, ConversationId
from zaptrix.core.message.message import Direction


class Ringing:
    """`core.ports.Handover` and its `Offer`: offers nothing, and rings."""

    def __init__(self, bells: Bells, direction: Direction) -> None:
        self._bells = bells
        self._direction = direction

    def offer(self) -> Ringing:
        return self

    def attempt_for(self, owner: UUID, conversation_id: ConversationId) -> AttemptId | None:
        del owner, conversation_id
        return None

    def take(self, claims: Sequence[Claim]) -> None:
        assert not claims, "none was offered"

    def waits(self, owner: UUID, conversation_id: ConversationId) -> None:
        del conversation_id
        self._bells.ring_soon([delivery_lane(self._direction, owner)])

"""Offer: how much of one batch of routing may be launched at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from zaptrix.core.ids import AttemptId, ConversationId


class Launching(Protocol):
    """Delivery, as an offer asks it."""

    def room(self, owner: UUID) -> int: ...

    def may_be_handed(self, owner: UUID, conversation_id: ConversationId) -> bool: ...


class BatchOffer:
    """Implements `core.ports.Offer`."""

    def __init__(self, dispatcher: Launching, calls: int, new_attempt: Callable[[], AttemptId]) -> None:
        self._dispatcher = dispatcher
        self._calls = calls  # that may be begun
        self._new_attempt = new_attempt
        self._rooms: dict[UUID, int] = {}
        self._talks: set[ConversationId] = set()

    def attempt_for(self, owner: UUID, conversation_id: ConversationId) -> AttemptId | None:
        """The attempt that a message may be inserted as claimed by; None: it waits."""
        if conversation_id in self._talks or not self._dispatcher.may_be_handed(owner, conversation_id):
            return None
        room = self._rooms.get(owner)
        if room is None:
            if self._calls <= 0:
                return None
            self._calls -= 1
            room = self._dispatcher.room(owner)
        if room <= 0:
            return None
        self._rooms[owner] = room - 1
        self._talks.add(conversation_id)
        return self._new_attempt()

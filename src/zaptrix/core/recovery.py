"""Recovery: what a portal's history tells of replies that the gateway may never have been told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from zaptrix.core.event import NewEvent, Recovered
from zaptrix.core.ids import ConversationId
from zaptrix.core.portal import Portal


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation to look at, as the portal knows it."""

    conversation_id: ConversationId
    external_chat_id: str
    line_id: int
    bitrix_chat_id: int
    bitrix_session_id: int | None
    looked_message_id: int | None  # the chat's last message when it was looked at before


class ChatState(msgspec.Struct, frozen=True, kw_only=True):
    """What a portal tells of a chat without its history."""

    last_message_id: int
    bitrix_session_id: int | None


class ReplyFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a message in a history. `source` names it to its portal, which has to be asked for an address."""

    source: str
    name: str = ""
    type: str = ""
    size: int | None = None


class OperatorReply(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's message in a history."""

    bitrix_message_id: int
    author: str
    text: str
    written_at: datetime | None
    files: tuple[ReplyFile, ...] = ()


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A message that stands in a history because it went through us.

    `key`: WhatsApp's id of a customer's message, the portal's of an operator's that was confirmed.
    """

    key: str
    customers: bool
    written_at: datetime | None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a chat's history holds. `replies`: operators' messages that nobody confirmed, the oldest first."""

    replies: tuple[OperatorReply, ...] = ()
    shown: tuple[Shown, ...] = ()


class Histories(Protocol):
    """A portal's history, as recovery asks for it. Both raise PlatformError; each is one request."""

    async def states(self, portal: Portal, chats: Sequence[Chat]) -> list[ChatState | None]:
        """One a chat, in order; None: we may not look at it. Raises Refused when that is so of all."""
        ...

    async def looks(self, portal: Portal, asked: Sequence[tuple[Chat, ChatState]]) -> list[Look]:
        """What each chat's sessions hold; nothing where we may not look."""
        ...

    def event(self, chat: Chat, portal: Portal, reply: OperatorReply, *, late: bool, give_up: str | None) -> NewEvent:
        """The event that should have told of `reply`, with the key that it would have had."""
        ...


class OfflineRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a portal's offline queue as they came. `process_id`: it keeps them under it until they are cleared."""

    rows: tuple[object, ...]
    process_id: str


class RecoveredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event out of a row. The ids are None when the row does not name them."""

    event: NewEvent
    external_chat_id: str | None = None
    bitrix_message_id: int | None = None
    recovered: Recovered | None = None


class OfflineEvents(Protocol):
    """A portal's own queue of operators' messages. All that ask the portal raise PlatformError."""

    async def bind(self, portal: Portal, *, wanted: bool) -> None:
        """Let the queue fill, or no more. Idempotent."""
        ...

    async def keeps(self, portal: Portal) -> bool:
        """Whether the portal's plan lets rows stay until they are cleared."""
        ...

    async def read(self, portal: Portal, *, keep: bool) -> OfflineRows:
        """The oldest rows that nobody keeps: kept for us, or else gone with this answer.

        Raises NotKept when the plan does not let them stay after all.
        """
        ...

    async def left(self, portal: Portal) -> list[OfflineRows]:
        """Rows that are still kept for a reader of ours."""
        ...

    async def clear(self, portal: Portal, process_id: str) -> None: ...

    def events(
        self, portal: Portal, rows: Sequence[object], judge: Callable[[datetime | None], Recovered]
    ) -> list[RecoveredEvent]:
        """What the rows tell, each with the key that its online event has; never raises. `judge` takes the time of
        a row."""
        ...


class NotKept(Exception):
    """The portal's plan does not let rows stay until they are cleared."""

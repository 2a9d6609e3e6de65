"""Operators' changes of messages: quoting in an answer, editing, deleting.

A connector says whether its operators may edit and delete (EDIT_INTERNAL_MESSAGES, DEL_INTERNAL_MESSAGES), and a portal
tells of it when the message was confirmed with the messenger's ids.
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
"""

import time
from collections.abc import Callable
from typing import Any, Final

from zaptrix_sim.bitrix24.chats import Chats
from zaptrix_sim.bitrix24.events import BitrixEvents
from zaptrix_sim.judge.facts import OperatorChanged
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Chat, ChatMessage, Portal

DASHES: Final = "-" * 54


class NotAllowed(ValueError):
    """The connector lets its operators not do that, or there is no such message of an operator's."""


class OperatorActions:
    def __init__(self, engine: Engine, events: BitrixEvents, chats: Chats) -> None:
        self._engine = engine
        self._events = events
        self._chats = chats

    def quote(self, portal: Portal, chat: Chat, wanted: dict[str, Any]) -> str:
        """The block above an answer; `quotes` is the quoted message's id, `quote_as` frame, named or arrows."""
        if not wanted.get("quotes"):
            return ""
        message = self._message(portal, chat, int(wanted["quotes"]))
        return _QUOTES[str(wanted.get("quote_as") or "frame")](chat, message)

    def edit(self, portal: Portal, chat: Chat, message_id: int, text: str, *, anyway: bool) -> bool:
        """New words in the chat; whether anybody is told. `anyway`: a portal that lets operators do it, and tells at
        once, whatever the connector says."""
        message = self._own(portal, chat, message_id, "edits", anyway=anyway)
        message.text, message.edited = text, True
        ids = {"id": message.mids} if message.mids else {}
        shown = f"[b]{message.name}:[/b][br] {text}"
        self._engine.record(OperatorChanged((portal.key, message_id), text))
        return self._tell(portal, chat, message, "ONIMCONNECTORMESSAGEUPDATE", [ids | {"text": shown}], anyway=anyway)

    def delete(self, portal: Portal, chat: Chat, message_id: int, *, anyway: bool) -> bool:
        """The message is gone from the chat; whether anybody is told: once for each of the messenger's ids."""
        message = self._own(portal, chat, message_id, "deletes", anyway=anyway)
        message.deleted = True
        told: list[dict[str, Any]] = [{"id": mid} for mid in message.mids] or [{}]
        self._engine.record(OperatorChanged((portal.key, message_id), None))
        return self._tell(portal, chat, message, "ONIMCONNECTORMESSAGEDELETE", told, anyway=anyway)

    def _tell(
        self,
        portal: Portal,
        chat: Chat,
        message: ChatMessage,
        event: str,
        told: list[dict[str, Any]],
        *,
        anyway: bool,
    ) -> bool:
        self._engine.chat_changed(chat)
        if not (message.mids or anyway) or (chat.connector, chat.line) not in portal.active:
            return False
        im = {"chat_id": chat.id, "message_id": message.id}
        items = [{"im": im, "message": one, "chat": {"id": chat.external_id}} for one in told]
        data = {"CONNECTOR": chat.connector, "LINE": chat.line, "MESSAGES": items}
        self._events.emit(portal, event, data, chat=chat.external_id, user_id=message.author_id)
        return True

    def _own(self, portal: Portal, chat: Chat, message_id: int, right: str, *, anyway: bool) -> ChatMessage:
        message = self._message(portal, chat, message_id)
        connector = portal.connectors.get(chat.connector)
        if message.author != "operator" or message.deleted:
            raise NotAllowed("this is no message of an operator's")
        if not (anyway or connector is None or getattr(connector, right)):
            raise NotAllowed(f"the connector is registered without {right}")
        return message

    @staticmethod
    def _message(portal: Portal, chat: Chat, message_id: int) -> ChatMessage:
        found = portal.messages.get(message_id)
        if found is None or found[0] is not chat:
            raise NotAllowed("this chat has no such message")
        return found[1]


def _frame(_chat: Chat, message: ChatMessage, named: str = "") -> str:
    at = time.strftime("%d.%m.%Y %H:%M:%S", time.gmtime(message.at))
    return f"{DASHES}\n{message.name} [{at}]{named}\n{message.text}\n{DASHES}\n"


def _named_frame(chat: Chat, message: ChatMessage) -> str:
    return _frame(chat, message, f" #chat{chat.id}/{message.id}")


def _arrows(_chat: Chat, message: ChatMessage) -> str:
    return "".join(f">>{line}\n" for line in message.text.split("\n"))


_QUOTES: Final[dict[str, Callable[[Chat, ChatMessage], str]]] = {
    "frame": _frame,
    "named": _named_frame,
    "arrows": _arrows,
}
